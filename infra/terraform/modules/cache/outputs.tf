output "address" {
  description = "Name of the host that takes writes."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}
