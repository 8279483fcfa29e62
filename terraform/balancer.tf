resource "aws_lb" "main" {
  # checkov:skip=CKV2_AWS_28: a web ACL is attached when var.web_acl_arn names one; its rules are the installation's own
  # checkov:skip=CKV2_AWS_76: as above; and nothing here runs Java
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = var.load_balancer_internal
  security_groups            = [aws_security_group.balancer.id]
  subnets                    = var.load_balancer_internal ? [for subnet in aws_subnet.application : subnet.id] : [for subnet in aws_subnet.public : subnet.id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = 120 # the live stream says something at least every 15 s; a waiting POST takes 10 s at most

  access_logs {
    bucket  = aws_s3_bucket.requests.id
    enabled = true
  }

  depends_on = [aws_s3_bucket_policy.requests]
}

resource "aws_lb_target_group" "web" {
  # checkov:skip=CKV_AWS_378: TLS ends at the load balancer; behind it only its own security group reaches the port
  name                 = "${local.name}-web"
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.port.web
  vpc_id               = aws_vpc.main.id
  deregistration_delay = 30

  health_check {
    path                = "/health/ready"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.main.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}

# Metrics and readiness are for inside: an outsider learns nothing from them.
resource "aws_lb_listener_rule" "inside_only" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 1

  condition {
    path_pattern {
      values = ["/metrics", "/metrics/*", "/health/ready"]
    }
  }

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "Not found"
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_wafv2_web_acl_association" "main" {
  count = var.web_acl_arn == "" ? 0 : 1

  resource_arn = aws_lb.main.arn
  web_acl_arn  = var.web_acl_arn
}
