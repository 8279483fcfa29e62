# What every installation decides -------------------------------------------------------------------------------------

variable "region" {
  description = "The AWS region everything lives in."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region's name, such as eu-central-1."
  }
}

variable "environment" {
  description = "A short word that tells installations apart; it becomes a part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "2 to 12 lower-case letters and digits, a letter first: names are built from it, and some may be no longer than 32."
  }
}

variable "image_tag" {
  description = "The tag of the image in the repository that is made here. Tags are immutable: a new build has a new tag."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "A tag that names one build, not \"latest\"."
  }
}

variable "migrate_image_tag" {
  description = "The tag that the migrate task runs; empty = image_tag. Set it ahead of image_tag to migrate before the new code starts."
  type        = string
  default     = ""
}

variable "public_url" {
  description = "The address people type, with https. Its host name is the one in certificate_arn."
  type        = string

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.public_url))
    error_message = "https:// and a host name, with no path: the session cookie is Secure only under https."
  }
}

variable "certificate_arn" {
  description = "The ACM certificate of the HTTPS listener, in the same region."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "The ARN of an ACM certificate."
  }
}

variable "trusted_keys" {
  description = "Public halves of the keys that models may be signed with, as `ronda signing-key` prints them. A new one first joins the old one."
  type        = list(string)

  validation {
    condition     = length(var.trusted_keys) > 0 && alltrue([for key in var.trusted_keys : can(regex("^[A-Za-z0-9+/]{43}=$", key))])
    error_message = "At least one key; each is the base64 of 32 bytes."
  }
}

variable "audit_trusted_keys" {
  description = "Public halves of the keys that the audit trail's checkpoints may be signed with, from a pair of their own. A new one first joins the old one."
  type        = list(string)

  validation {
    condition     = length(var.audit_trusted_keys) > 0 && alltrue([for key in var.audit_trusted_keys : can(regex("^[A-Za-z0-9+/]{43}=$", key))])
    error_message = "At least one key; each is the base64 of 32 bytes."
  }
}

variable "ingress_cidrs" {
  description = "Who may reach the load balancer: the networks of the transaction sources and of the analysts."
  type        = list(string)

  validation {
    condition     = length(var.ingress_cidrs) > 0 && alltrue([for cidr in var.ingress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "At least one network in CIDR notation."
  }
}

# Network -------------------------------------------------------------------------------------------------------------

variable "vpc_cidr" {
  description = "The address range of the VPC: a /16 to /20, of which subnets take sixteenths."
  type        = string
  default     = "10.64.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 20
    error_message = "An IPv4 range from /16 to /20."
  }
}

variable "availability_zones" {
  description = "The letters of two or three availability zones. Named, so that a zone that AWS adds moves nothing."
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = contains([2, 3], length(distinct(var.availability_zones))) && alltrue([for letter in var.availability_zones : can(regex("^[a-z]$", letter))])
    error_message = "Two or three different letters."
  }
}

variable "nat" {
  description = "NAT gateways: none, single, or one_per_az. Ronda itself calls nothing outside the VPC (images, logs and secrets come through endpoints), so none is enough until something does."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["none", "single", "one_per_az"], var.nat)
    error_message = "none, single or one_per_az."
  }
}

variable "load_balancer_internal" {
  description = "Keep the load balancer off the internet: for sources and analysts that come over a VPN or a peering."
  type        = bool
  default     = false
}

variable "web_acl_arn" {
  description = "A WAFv2 web ACL for the load balancer; empty = none."
  type        = string
  default     = ""
}

# Ronda ---------------------------------------------------------------------------------------------------------------

variable "shards" {
  description = "Score queues; a customer's payments stay in one. Drain the queues before changing it."
  type        = number
  default     = 4

  validation {
    condition     = var.shards >= 1 && var.shards <= 64 && floor(var.shards) == var.shards
    error_message = "A whole number from 1 to 64."
  }
}

variable "four_eyes" {
  description = "A model is promoted by another person than the one who asked for its training."
  type        = bool
  default     = true
}

variable "log_level" {
  description = "DEBUG, INFO, WARNING or ERROR."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "DEBUG, INFO, WARNING or ERROR."
  }
}

variable "web" {
  description = "Tasks of `ronda serve`: CPU units, memory in MiB, fewest and most tasks."
  type        = object({ cpu = number, memory = number, min = number, max = number })
  default     = { cpu = 1024, memory = 2048, min = 2, max = 6 }

  validation {
    condition     = var.web.min >= 1 && var.web.max >= var.web.min
    error_message = "max may not be below min, and min not below 1."
  }
}

variable "scorer" {
  description = "Tasks of `ronda work score`: CPU units, memory in MiB, and how many. The first to ask holds a shard's queue; the others stand by."
  type        = object({ cpu = number, memory = number, tasks = number })
  default     = { cpu = 1024, memory = 2048, tasks = 2 }

  validation {
    condition     = var.scorer.tasks >= 1 && var.scorer.tasks <= var.shards
    error_message = "At least 1, and not more than shards: a scorer without a shard could never work."
  }
}

variable "jobs" {
  description = "The one task of the other jobs, which also trains: CPU units and memory in MiB."
  type        = object({ cpu = number, memory = number })
  default     = { cpu = 2048, memory = 8192 }
}

# PostgreSQL ----------------------------------------------------------------------------------------------------------

variable "database_engine_version" {
  description = "PostgreSQL's major version, or major.minor."
  type        = string
  default     = "18"

  validation {
    condition     = can(regex("^1[5-9](\\.[0-9]+)?$", var.database_engine_version))
    error_message = "15 or newer: the outbox and the audit trail use xid8 and other things that older ones lack."
  }
}

variable "database_instance_class" {
  description = "The RDS instance class."
  type        = string
  default     = "db.m7g.large"
}

variable "database_storage_gib" {
  description = "Storage at the start, and the size up to which RDS may grow it by itself."
  type        = object({ initial = number, max = number })
  default     = { initial = 100, max = 1000 }

  validation {
    condition     = var.database_storage_gib.initial >= 20 && var.database_storage_gib.max > var.database_storage_gib.initial
    error_message = "At least 20 GiB at the start, and more than that at most."
  }
}

variable "database_multi_az" {
  description = "Keep a standby in another availability zone. PostgreSQL is the truth: without it a failed instance means a restore."
  type        = bool
  default     = true
}

variable "database_backup_days" {
  description = "How many days back the database can be restored to any second."
  type        = number
  default     = 35

  validation {
    condition     = var.database_backup_days >= 7 && var.database_backup_days <= 35
    error_message = "7 to 35."
  }
}

variable "database_ca_in_image" {
  description = "The image was built with RDS's certificate bundle (see the Dockerfile): verify the database server's certificate. Otherwise the connection is encrypted, but the server is not proven."
  type        = bool
  default     = false
}

# Valkey --------------------------------------------------------------------------------------------------------------

variable "cache_engine_version" {
  description = "ElastiCache's Valkey version, major.minor."
  type        = string
  default     = "8.2"

  validation {
    condition     = can(regex("^[7-9]\\.[0-9]$", var.cache_engine_version))
    error_message = "major.minor, 7.2 or newer."
  }
}

variable "cache_node_type" {
  description = "The ElastiCache node type. All feature state must fit: memory is never freed by eviction."
  type        = string
  default     = "cache.m7g.large"
}

# RabbitMQ ------------------------------------------------------------------------------------------------------------

variable "broker_engine_version" {
  description = "Amazon MQ's RabbitMQ version, major.minor. Quorum queues with single active consumers are needed."
  type        = string
  default     = "4.2"
}

variable "broker_instance_type" {
  description = "The Amazon MQ instance type. RabbitMQ 4 runs on mq.m7g only."
  type        = string
  default     = "mq.m7g.large"
}

variable "broker_deployment_mode" {
  description = "CLUSTER_MULTI_AZ (three nodes, so a quorum queue outlives one) or SINGLE_INSTANCE."
  type        = string
  default     = "CLUSTER_MULTI_AZ"

  validation {
    condition     = contains(["CLUSTER_MULTI_AZ", "SINGLE_INSTANCE"], var.broker_deployment_mode)
    error_message = "CLUSTER_MULTI_AZ or SINGLE_INSTANCE."
  }
}

# Operations ----------------------------------------------------------------------------------------------------------

variable "deletion_protection" {
  description = "Refuse to delete the database and the load balancer, and keep a last snapshot."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long CloudWatch and the load balancer's log bucket keep logs."
  type        = number
  default     = 400

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "One of the periods that CloudWatch knows, from 30 days up."
  }
}

variable "alarm_emails" {
  description = "Who is written to when an alarm changes state; each address must confirm once."
  type        = list(string)
  default     = []
}
