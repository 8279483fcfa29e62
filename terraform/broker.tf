# RabbitMQ: at least once. What it has not confirmed is still in PostgreSQL's outbox.

resource "aws_mq_broker" "main" {
  # checkov:skip=CKV_AWS_48: "audit" logs exist for ActiveMQ only; RabbitMQ takes "general", which is on
  # checkov:skip=CKV_AWS_207: it is on (Amazon MQ refuses RabbitMQ brokers without it)
  # checkov:skip=CKV_AWS_208: the check knows the versions of ActiveMQ; var.broker_engine_version is RabbitMQ's
  broker_name        = local.name
  engine_type        = "RabbitMQ"
  engine_version     = var.broker_engine_version
  host_instance_type = var.broker_instance_type
  deployment_mode    = var.broker_deployment_mode

  subnet_ids          = var.broker_deployment_mode == "SINGLE_INSTANCE" ? [aws_subnet.data[local.zones[0]].id] : [for subnet in aws_subnet.data : subnet.id]
  security_groups     = [aws_security_group.broker.id]
  publicly_accessible = false

  user {
    username = "ronda"
    password = random_password.broker.result
  }

  encryption_options {
    use_aws_owned_key = false
    kms_key_id        = aws_kms_key.main.arn
  }

  logs {
    general = true
  }

  auto_minor_version_upgrade = true
  apply_immediately          = false

  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "05:00"
    time_zone   = "UTC"
  }
}
