output "topics" {
  description = "By physical topic: partitions, replication factor, configuration."
  value       = local.topics
}

output "access" {
  description = "By service or account: the physical topics that it reads and writes, and prefixes of groups that it may join."
  value       = local.access
}

output "services" {
  description = "The services of services.yaml, as they stand there."
  value       = local.house.services
}

output "replicas" {
  description = "Copies of partitions in all: what the brokers must hold between them."
  value       = sum([for topic in values(local.topics) : topic.partitions * topic.replication_factor])
}

output "beside" {
  description = "What runs beside the services, as services.yaml has it."
  value       = local.house.beside
}

output "accounts" {
  description = "Everyone with an account of the brokers: services, people, programs."
  value       = sort(keys(local.users))
}

output "lanes" {
  description = "The lanes of instance topics."
  value       = local.listed.lanes
}

output "groups" {
  description = "The consumer groups."
  value       = sort(keys(local.listed.groups))
}

output "groups_with_members" {
  description = "Those of them that have members named <group>.<name>, which no list knows."
  value       = sort([for name, entry in local.listed.groups : name if try(entry.members, false)])
}
