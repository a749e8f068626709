output "cluster_arn" {
  description = "The cluster."
  value       = aws_msk_cluster.this.arn
}

output "bootstrap_scram" {
  description = "Addresses for services: SCRAM over TLS."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_scram
}

output "bootstrap_iam" {
  description = "Addresses for administration: a role over TLS."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_iam
}

output "secret_arns" {
  description = "By service, the secret with its account."
  value       = { for service, secret in aws_secretsmanager_secret.account : service => secret.arn }
}
