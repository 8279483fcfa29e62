data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name      = "ronda-${var.environment}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  zones     = [for letter in var.availability_zones : "${var.region}${letter}"]

  port = {
    web       = 8080
    database  = 5432
    cache     = 6379
    broker    = 5671
    endpoints = 443
  }

  # The user and group that the image runs as (Dockerfile).
  user_id = 10001
}
