output "load_balancer_dns_name" {
  description = "Point public_url's host name here, with a CNAME or an alias record."
  value       = aws_lb.main.dns_name
}

output "load_balancer_zone_id" {
  description = "For an alias record in Route 53."
  value       = aws_lb.main.zone_id
}

output "repository_url" {
  description = "Push the image here, under image_tag."
  value       = aws_ecr_repository.ronda.repository_url
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.main.name
}

output "one_off_tasks" {
  description = "Commands that run `ronda migrate`, and `ronda doctor` or (with --overrides) another command."
  value = {
    for name in ["migrate", "admin"] : name => join(" ", [
      "aws ecs run-task",
      "--cluster ${aws_ecs_cluster.main.name}",
      "--task-definition ${aws_ecs_task_definition.process[name].family}",
      "--launch-type FARGATE",
      "--network-configuration 'awsvpcConfiguration={subnets=[${join(",", [for subnet in aws_subnet.application : subnet.id])}],securityGroups=[${aws_security_group.worker.id}],assignPublicIp=DISABLED}'",
    ])
  }
}

output "secret_arns" {
  description = "The secrets that the tasks read, by setting."
  value       = local.secret_arns
}

output "alarm_topic_arn" {
  description = "Subscribe a pager here."
  value       = aws_sns_topic.alarms.arn
}
