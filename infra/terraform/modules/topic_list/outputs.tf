output "topics" {
  description = "By physical topic: partitions, replication factor, configuration."
  value       = local.topics
}

output "access" {
  description = "By service: whether it is a consumer group, and the physical topics that it reads and writes."
  value       = local.access
}

output "services" {
  description = "The services of services.yaml, as they stand there."
  value       = local.services
}

output "replicas" {
  description = "Copies of partitions in all: what the brokers must hold between them."
  value       = sum([for topic in values(local.topics) : topic.partitions * topic.replication_factor])
}
