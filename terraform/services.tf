# The same image everywhere; the command decides what a task is.

resource "aws_ecs_cluster" "main" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enhanced"
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = ["FARGATE"]

  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}

locals {
  image = {
    for name in local.process_names :
    name => "${aws_ecr_repository.ronda.repository_url}:${name == "migrate" && var.migrate_image_tag != "" ? var.migrate_image_tag : var.image_tag}"
  }

  process_commands = {
    web     = ["serve"]
    scorer  = ["work", "score"]
    jobs    = ["work", "relay", "bury", "feedback", "retrain", "schedule", "reconcile", "rescore", "equality", "monitor", "seal"]
    migrate = ["migrate"]
    admin   = ["doctor"] # a one-off task: `aws ecs run-task --overrides` gives it another command, such as `user add`
  }

  process_sizes = {
    web     = { cpu = var.web.cpu, memory = var.web.memory }
    scorer  = { cpu = var.scorer.cpu, memory = var.scorer.memory }
    jobs    = { cpu = var.jobs.cpu, memory = var.jobs.memory }
    migrate = { cpu = 512, memory = 1024 }
    admin   = { cpu = 1024, memory = 4096 }
  }

  process_secrets = {
    web     = ["RONDA_BUS_URL", "RONDA_DATABASE_URL", "RONDA_REDIS_URL"]
    scorer  = ["RONDA_BUS_URL", "RONDA_DATABASE_URL", "RONDA_REDIS_URL"]
    jobs    = ["RONDA_BUS_URL", "RONDA_DATABASE_URL", "RONDA_REDIS_URL", "RONDA_SIGNING_KEY", "RONDA_AUDIT_KEY"]
    migrate = ["RONDA_DATABASE_LOGINS", "RONDA_DATABASE_URL"]
    admin   = ["RONDA_BUS_URL", "RONDA_DATABASE_URL", "RONDA_REDIS_URL"]
  }

  # Who sees the model artifacts; `jobs` trains, so it also writes.
  artifact_readers = toset(["scorer", "jobs", "admin"])
  artifact_writers = toset(["jobs"])

  # ECS sorts what it stores by name; so does a map, and a plan shows no change where there is none.
  process_environment = {
    for name, value in merge(
      {
        AWS_REGION          = var.region
        RONDA_ARTIFACTS_URL = "s3://${aws_s3_bucket.artifacts.id}"
        RONDA_FOUR_EYES     = tostring(var.four_eyes)
        RONDA_LOG_JSON      = "true"
        RONDA_LOG_LEVEL     = var.log_level
        RONDA_PUBLIC_URL    = var.public_url
        RONDA_SHARDS        = tostring(var.shards)
        RONDA_TRUSTED_KEYS  = join(",", var.trusted_keys)

        # No disk outlives a task: the log is the anchor, which the database's users cannot change.
        RONDA_AUDIT_ANCHOR       = "-"
        RONDA_AUDIT_TRUSTED_KEYS = join(",", var.audit_trusted_keys)
      },
      var.database_ca_in_image ? { PGSSLROOTCERT = "/etc/ronda/database-ca.pem" } : {},
    ) : name => value
  }
}

resource "aws_ecs_task_definition" "process" {
  for_each = local.process_names

  family                   = "${local.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.process_sizes[each.key].cpu
  memory                   = local.process_sizes[each.key].memory
  execution_role_arn       = aws_iam_role.execution[each.key].arn
  task_role_arn            = contains(local.artifact_readers, each.key) ? aws_iam_role.task[each.key].arn : null

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  container_definitions = jsonencode([
    {
      name                   = each.key
      image                  = local.image[each.key]
      command                = local.process_commands[each.key]
      essential              = true
      user                   = "${local.user_id}:${local.user_id}"
      readonlyRootFilesystem = true
      stopTimeout            = 60

      linuxParameters = {
        initProcessEnabled = true
        capabilities       = { drop = ["ALL"] }
      }

      environment = [for name, value in local.process_environment : { name = name, value = value }]
      secrets     = [for name, arn in local.process_secret_arns[each.key] : { name = name, valueFrom = arn }]

      portMappings = each.key == "web" ? [{ name = "http", containerPort = local.port.web, hostPort = local.port.web, protocol = "tcp" }] : []

      # Liveness only: whether it may get traffic is the load balancer's question. A worker has no port to ask; a job that
      # fails is started again inside the process and logs an error, which an alarm counts.
      healthCheck = each.key == "web" ? {
        command     = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:${local.port.web}/health/live', timeout=4)"]
        interval    = 15
        timeout     = 5
        retries     = 3
        startPeriod = 60
      } : null

      mountPoints = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]

      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.process[each.key].name
          awslogs-region        = var.region
          awslogs-stream-prefix = each.key
        }
      }
    }
  ])

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "web" {
  name             = "web"
  cluster          = aws_ecs_cluster.main.id
  task_definition  = aws_ecs_task_definition.process["web"].arn
  desired_count    = var.web.min
  launch_type      = "FARGATE"
  platform_version = "LATEST"

  health_check_grace_period_seconds  = 60
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  propagate_tags                     = "SERVICE"
  enable_execute_command             = false

  network_configuration {
    subnets          = [for subnet in aws_subnet.application : subnet.id]
    security_groups  = [aws_security_group.web.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.web.arn
    container_name   = "web"
    container_port   = local.port.web
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count] # the autoscaler's
  }

  depends_on = [
    aws_iam_role_policy.execution,
    aws_lb_listener.https,
    aws_route_table_association.application,
    aws_secretsmanager_secret_version.url,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.service,
  ]
}

resource "aws_ecs_service" "scorer" {
  name             = "scorer"
  cluster          = aws_ecs_cluster.main.id
  task_definition  = aws_ecs_task_definition.process["scorer"].arn
  desired_count    = var.scorer.tasks
  launch_type      = "FARGATE"
  platform_version = "LATEST"

  # Old and new may overlap: a shard's queue hands over to the next consumer when the old one closes.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  propagate_tags                     = "SERVICE"
  enable_execute_command             = false

  network_configuration {
    subnets          = [for subnet in aws_subnet.application : subnet.id]
    security_groups  = [aws_security_group.worker.id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_route_table_association.application,
    aws_secretsmanager_secret_version.url,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.service,
  ]
}

resource "aws_ecs_service" "jobs" {
  name             = "jobs"
  cluster          = aws_ecs_cluster.main.id
  task_definition  = aws_ecs_task_definition.process["jobs"].arn
  desired_count    = 1
  launch_type      = "FARGATE"
  platform_version = "LATEST"

  # One is enough, and a training needs the memory of a whole task: the old one goes before the new one comes. Meanwhile
  # nothing is lost: messages wait in their queues and in the outbox.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  propagate_tags                     = "SERVICE"
  enable_execute_command             = false

  network_configuration {
    subnets          = [for subnet in aws_subnet.application : subnet.id]
    security_groups  = [aws_security_group.worker.id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_route_table_association.application,
    aws_secretsmanager_secret_version.url,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.service,
  ]
}
