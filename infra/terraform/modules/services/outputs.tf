output "cluster_name" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "task_definitions" {
  description = "By service, what its tasks are."
  value       = { for name, definition in aws_ecs_task_definition.this : name => definition.arn }
}

output "dicom_address" {
  description = "Where scanners send: this host, port 2762, TLS."
  value       = aws_lb.dicom.dns_name
}
