# Passwords are made here, and reach a task only as a whole URL from Secrets Manager. They are in Terraform's state, too:
# see backend.tf. Letters and digits only, because each becomes a part of a URL.

resource "random_password" "database" {
  length  = 48
  special = false
}

# Of each process's own login; `migrate` makes the logins, and signs in as the owner.
resource "random_password" "login" {
  for_each = local.database_logins

  length  = 48
  special = false
}

resource "random_password" "cache" {
  length  = 64
  special = false
}

resource "random_password" "broker" {
  length  = 48
  special = false
}

locals {
  database_tls = var.database_ca_in_image ? "verify-full" : "require"
  database_at  = "${aws_db_instance.main.address}:${aws_db_instance.main.port}/${aws_db_instance.main.db_name}?ssl=${local.database_tls}"
  broker_url   = trimprefix(aws_mq_broker.main.instances[0].endpoints[0], "amqps://")

  # Names that `migrate` knows. Each may take on the roles of its process and owns nothing.
  database_logins = { for process in ["admin", "jobs", "scorer", "web"] : process => "ronda_${process}" }

  # The setting that each secret becomes in a task; "/process": in that one's task only.
  secret_urls = merge(
    {
      RONDA_DATABASE_URL    = "postgresql://${aws_db_instance.main.username}:${random_password.database.result}@${local.database_at}"
      RONDA_DATABASE_LOGINS = join(" ", [for process, login in local.database_logins : "${login}:${random_password.login[process].result}"])
      RONDA_REDIS_URL       = "rediss://:${random_password.cache.result}@${aws_elasticache_replication_group.main.primary_endpoint_address}:${local.port.cache}/0"
      RONDA_BUS_URL         = "amqps://ronda:${random_password.broker.result}@${local.broker_url}/"
    },
    {
      for process, login in local.database_logins :
      "RONDA_DATABASE_URL/${process}" => "postgresql://${login}:${random_password.login[process].result}@${local.database_at}"
    },
  )
  secret_arns = merge(
    { for name, secret in aws_secretsmanager_secret.url : name => secret.arn },
    { RONDA_SIGNING_KEY = aws_secretsmanager_secret.signing_key.arn },
    { RONDA_AUDIT_KEY = aws_secretsmanager_secret.audit_key.arn },
  )
  secret_names = merge(
    {
      RONDA_DATABASE_URL    = "database-url"
      RONDA_DATABASE_LOGINS = "database-logins"
      RONDA_REDIS_URL       = "redis-url"
      RONDA_BUS_URL         = "bus-url"
    },
    { for process in keys(local.database_logins) : "RONDA_DATABASE_URL/${process}" => "database-url-${process}" },
  )

  # Of each process: setting => secret. Its own secret of a setting goes before the common one.
  process_secret_arns = {
    for process, names in local.process_secrets :
    process => { for name in names : name => lookup(local.secret_arns, "${name}/${process}", local.secret_arns[name]) }
  }
}

# The private key that models are signed with. Its value is put there by hand (docs/deploy.md) and so is not in the state.
resource "aws_secretsmanager_secret" "signing_key" {
  # checkov:skip=CKV2_AWS_57: the public half is a variable, and the scorers must know the new one first
  name_prefix = "${local.name}/signing-key-"
  description = "RONDA_SIGNING_KEY of ${local.name}"
  kms_key_id  = aws_kms_key.main.arn
}

# The same for the checkpoints of the audit trail.
resource "aws_secretsmanager_secret" "audit_key" {
  # checkov:skip=CKV2_AWS_57: the public half is a variable, and verifiers must know the new one first
  name_prefix = "${local.name}/audit-key-"
  description = "RONDA_AUDIT_KEY of ${local.name}"
  kms_key_id  = aws_kms_key.main.arn
}

resource "aws_secretsmanager_secret" "url" {
  # checkov:skip=CKV2_AWS_57: a rotation has to change the server and restart the tasks together; terraform/README.md tells how
  for_each = local.secret_names

  name_prefix = "${local.name}/${each.value}-"
  description = "${each.key} of ${local.name}"
  kms_key_id  = aws_kms_key.main.arn
}

resource "aws_secretsmanager_secret_version" "url" {
  for_each = local.secret_names

  secret_id     = aws_secretsmanager_secret.url[each.key].id
  secret_string = local.secret_urls[each.key]
}
