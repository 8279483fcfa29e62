# Valkey: features, doorbells and rate limits. It may be lost at any moment and is rebuilt from PostgreSQL.

resource "aws_elasticache_subnet_group" "main" {
  name       = local.name
  subnet_ids = [for subnet in aws_subnet.data : subnet.id]
}

resource "aws_elasticache_parameter_group" "main" {
  name        = "${local.name}-valkey${split(".", var.cache_engine_version)[0]}"
  family      = "valkey${split(".", var.cache_engine_version)[0]}"
  description = "Ronda: never evict"

  # A feature that vanished would be read as zero. When memory is full, writes fail and decisions say "degraded".
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Cluster mode stays off: one script touches the keys of several entities at once.
resource "aws_elasticache_replication_group" "main" {
  replication_group_id = local.name
  description          = "Ronda: features, doorbells, rate limits"
  engine               = "valkey"
  engine_version       = var.cache_engine_version
  node_type            = var.cache_node_type
  port                 = local.port.cache
  parameter_group_name = aws_elasticache_parameter_group.main.name

  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = aws_elasticache_subnet_group.main.name
  security_group_ids         = [aws_security_group.cache.id]

  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  auth_token                 = random_password.cache.result
  auth_token_update_strategy = "ROTATE"
  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.main.arn

  snapshot_retention_limit   = 1 # a warm start after a maintenance; correctness needs none
  snapshot_window            = "00:00-01:00"
  maintenance_window         = "sun:03:30-sun:04:30"
  auto_minor_version_upgrade = true
  apply_immediately          = false

  log_delivery_configuration {
    destination      = aws_cloudwatch_log_group.cache.name
    destination_type = "cloudwatch-logs"
    log_format       = "json"
    log_type         = "slow-log"
  }
}
