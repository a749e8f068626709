output "cluster_name" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "task_definitions" {
  description = "By service, what its tasks are."
  value       = { for name, definition in aws_ecs_task_definition.this : name => definition.arn }
}

output "address" {
  description = "The host that scanners and the RIS know."
  value       = aws_lb.hospital.dns_name
}
