resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = aws_kms_key.main.id
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = toset(var.alarm_emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

locals {
  database   = { DBInstanceIdentifier = aws_db_instance.main.identifier }
  cache      = { CacheClusterId = "${aws_elasticache_replication_group.main.replication_group_id}-001" }
  broker     = { Broker = aws_mq_broker.main.broker_name }
  balancer   = { LoadBalancer = aws_lb.main.arn_suffix }
  web_target = { LoadBalancer = aws_lb.main.arn_suffix, TargetGroup = aws_lb_target_group.web.arn_suffix }

  # statistic over `minutes` one-minute periods, all of them above (or below) the threshold
  alarms = {
    web-errors        = { text = "The web tasks answer with 5xx", namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum", above = true, threshold = 10, minutes = 5, missing = "notBreaching", dimensions = local.balancer }
    web-none-healthy  = { text = "No web task is ready", namespace = "AWS/ApplicationELB", metric = "HealthyHostCount", statistic = "Minimum", above = false, threshold = 1, minutes = 3, missing = "breaching", dimensions = local.web_target }
    web-slow          = { text = "Answers take more than a second (p99)", namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", statistic = "p99", above = true, threshold = 1, minutes = 10, missing = "notBreaching", dimensions = local.balancer }
    database-cpu      = { text = "PostgreSQL is busy", namespace = "AWS/RDS", metric = "CPUUtilization", statistic = "Average", above = true, threshold = 80, minutes = 15, missing = "breaching", dimensions = local.database }
    database-disk     = { text = "PostgreSQL has less than 20 GiB of disk left", namespace = "AWS/RDS", metric = "FreeStorageSpace", statistic = "Minimum", above = false, threshold = 21474836480, minutes = 5, missing = "breaching", dimensions = local.database }
    database-memory   = { text = "PostgreSQL has less than 256 MiB of memory left", namespace = "AWS/RDS", metric = "FreeableMemory", statistic = "Minimum", above = false, threshold = 268435456, minutes = 15, missing = "breaching", dimensions = local.database }
    cache-memory      = { text = "Valkey is nearly full: it never evicts, and refuses writes when it is", namespace = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum", above = true, threshold = 80, minutes = 5, missing = "breaching", dimensions = local.cache }
    cache-cpu         = { text = "Valkey's one thread is busy", namespace = "AWS/ElastiCache", metric = "EngineCPUUtilization", statistic = "Average", above = true, threshold = 80, minutes = 10, missing = "breaching", dimensions = local.cache }
    broker-backlog    = { text = "Messages wait in RabbitMQ: payments are not being scored", namespace = "AWS/AmazonMQ", metric = "MessageReadyCount", statistic = "Minimum", above = true, threshold = 1000, minutes = 5, missing = "breaching", dimensions = local.broker }
    broker-consumers  = { text = "Nobody takes messages from RabbitMQ", namespace = "AWS/AmazonMQ", metric = "ConsumerCount", statistic = "Maximum", above = false, threshold = 1, minutes = 5, missing = "breaching", dimensions = local.broker }
    error-log-entries = { text = "A process logs errors", namespace = local.name, metric = "ErrorLogEntries", statistic = "Sum", above = true, threshold = 5, minutes = 5, missing = "notBreaching", dimensions = {} }
  }
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  dimensions          = each.value.dimensions
  period              = 60
  evaluation_periods  = each.value.minutes
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "tasks_missing" {
  for_each = {
    web    = { service = aws_ecs_service.web.name, fewest = var.web.min }
    scorer = { service = aws_ecs_service.scorer.name, fewest = var.scorer.tasks }
    jobs   = { service = aws_ecs_service.jobs.name, fewest = 1 }
  }

  alarm_name          = "${local.name}-${each.key}-tasks-missing"
  alarm_description   = "Fewer ${each.key} tasks run than should"
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  statistic           = "Minimum"
  dimensions          = { ClusterName = aws_ecs_cluster.main.name, ServiceName = each.value.service }
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = each.value.fewest
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Every log line is JSON with a level (RONDA_LOG_JSON).
resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each = aws_cloudwatch_log_group.process

  name           = "${local.name}-${each.key}-errors"
  log_group_name = each.value.name
  pattern        = "{ ($.level = \"error\") || ($.level = \"critical\") }"

  metric_transformation {
    namespace     = local.name
    name          = "ErrorLogEntries"
    value         = "1"
    default_value = "0"
  }
}
