# PostgreSQL: the truth. Everything else can be lost and rebuilt from it.

resource "aws_db_subnet_group" "main" {
  name       = local.name
  subnet_ids = [for subnet in aws_subnet.data : subnet.id]
}

resource "aws_db_parameter_group" "main" {
  name_prefix = "${local.name}-"
  family      = "postgres${split(".", var.database_engine_version)[0]}"
  description = "Ronda: TLS only, slow statements logged"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000" # milliseconds
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  # The sealer and every cursor wait for the longest open transaction.
  parameter {
    name  = "idle_in_transaction_session_timeout"
    value = "60000" # milliseconds
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "main" {
  # checkov:skip=CKV_AWS_161: the tasks sign in with a generated password from Secrets Manager; IAM tokens last 15 minutes and the pool has no refresh for them
  identifier     = local.name
  engine         = "postgres"
  engine_version = var.database_engine_version
  instance_class = var.database_instance_class

  db_name  = "ronda"
  username = "ronda"
  password = random_password.database.result
  port     = local.port.database

  allocated_storage     = var.database_storage_gib.initial
  max_allocated_storage = var.database_storage_gib.max
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.main.arn

  multi_az               = var.database_multi_az
  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false
  ca_cert_identifier     = "rds-ca-rsa2048-g1"
  parameter_group_name   = aws_db_parameter_group.main.name

  backup_retention_period   = var.database_backup_days
  backup_window             = "01:00-02:00"
  maintenance_window        = "sun:02:30-sun:03:30"
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = !var.deletion_protection
  final_snapshot_identifier = "${local.name}-final"
  delete_automated_backups  = !var.deletion_protection

  auto_minor_version_upgrade      = true
  allow_major_version_upgrade     = false
  apply_immediately               = false
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.database_monitoring.arn
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.main.arn

  # RDS would make these groups itself, unencrypted and kept for ever.
  depends_on = [aws_cloudwatch_log_group.database]
}
