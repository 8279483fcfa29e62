# One group per kind of machine. Every rule names a group on both ends; only the load balancer is open to address ranges.

resource "aws_security_group" "balancer" {
  name        = "${local.name}-balancer"
  description = "Load balancer: HTTPS from the allowed networks, on to the web tasks"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-balancer" }
}

resource "aws_security_group" "web" {
  name        = "${local.name}-web"
  description = "Web tasks: the load balancer may call them"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-web" }
}

resource "aws_security_group" "worker" {
  name        = "${local.name}-worker"
  description = "Scorer, jobs and one-off tasks: nobody calls them"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-worker" }
}

resource "aws_security_group" "database" {
  name        = "${local.name}-database"
  description = "PostgreSQL"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-database" }
}

resource "aws_security_group" "cache" {
  name        = "${local.name}-cache"
  description = "Valkey"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-cache" }
}

resource "aws_security_group" "broker" {
  name        = "${local.name}-broker"
  description = "RabbitMQ"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-broker" }
}

resource "aws_security_group" "endpoints" {
  name        = "${local.name}-endpoints"
  description = "Interface endpoints of AWS services"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${local.name}-endpoints" }
}

locals {
  tasks = {
    web    = aws_security_group.web.id
    worker = aws_security_group.worker.id
  }
  servers = {
    database  = aws_security_group.database.id
    cache     = aws_security_group.cache.id
    broker    = aws_security_group.broker.id
    endpoints = aws_security_group.endpoints.id
  }
  # "web-database" = { task, server }: who may call whom. There is nothing else that a task may call.
  calls = {
    for pair in setproduct(["web", "worker"], ["database", "cache", "broker", "endpoints"]) :
    "${pair[0]}-${pair[1]}" => { task = pair[0], server = pair[1] }
  }
}

resource "aws_vpc_security_group_egress_rule" "task_to_server" {
  for_each = local.calls

  security_group_id            = local.tasks[each.value.task]
  referenced_security_group_id = local.servers[each.value.server]
  description                  = "${each.value.task} calls ${each.value.server}"
  ip_protocol                  = "tcp"
  from_port                    = local.port[each.value.server]
  to_port                      = local.port[each.value.server]
}

resource "aws_vpc_security_group_ingress_rule" "server_from_task" {
  for_each = local.calls

  security_group_id            = local.servers[each.value.server]
  referenced_security_group_id = local.tasks[each.value.task]
  description                  = "${each.value.task} calls ${each.value.server}"
  ip_protocol                  = "tcp"
  from_port                    = local.port[each.value.server]
  to_port                      = local.port[each.value.server]
}

resource "aws_vpc_security_group_egress_rule" "task_to_s3" {
  for_each = local.tasks

  security_group_id = each.value
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  description       = "image layers and model artifacts, through the S3 endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "balancer_https" {
  for_each = toset(var.ingress_cidrs)

  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = each.key
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Only answered with a redirect to HTTPS.
resource "aws_vpc_security_group_ingress_rule" "balancer_http" {
  for_each = toset(var.ingress_cidrs)

  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = each.key
  description       = "HTTP, to be redirected"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_web" {
  security_group_id            = aws_security_group.balancer.id
  referenced_security_group_id = aws_security_group.web.id
  description                  = "to the web tasks"
  ip_protocol                  = "tcp"
  from_port                    = local.port.web
  to_port                      = local.port.web
}

resource "aws_vpc_security_group_ingress_rule" "web_from_balancer" {
  security_group_id            = aws_security_group.web.id
  referenced_security_group_id = aws_security_group.balancer.id
  description                  = "from the load balancer"
  ip_protocol                  = "tcp"
  from_port                    = local.port.web
  to_port                      = local.port.web
}
