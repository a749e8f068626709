output "address" {
  description = "The host that scanners and the RIS know: ports by service in output doors."
  value       = module.services.address
}

output "doors" {
  description = "By service, its port on that host: images, worklist, query and retrieve by DICOM over TLS, orders by HL7 over TLS."
  value       = { for service, door in local.doors : service => door.port }
}

output "bootstrap_iam" {
  description = "Where topics and grants are made (folder topics)."
  value       = module.msk.bootstrap_iam
}

output "topics_role_arn" {
  description = "The role that makes them."
  value       = module.iam.topics_role_arn
}

output "registries" {
  description = "Where images are pushed."
  value       = { for image, repository in module.registry.repositories : image => repository.url }
}

output "buckets" {
  description = "By tier, the bucket."
  value       = { for tier, bucket in module.storage.buckets : tier => bucket.name }
}

output "metrics_endpoint" {
  description = "Where Grafana asks for metrics."
  value       = module.observability.query_endpoint
}

output "configuration" {
  description = "By service, its radstream.toml, before secrets are filled in."
  value       = local.configuration
}
