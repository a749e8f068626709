output "address" {
  description = "Name of the database's host."
  value       = aws_db_instance.this.address
}

output "secret_arn" {
  description = "The secret with the account: username and password."
  value       = aws_secretsmanager_secret.owner.arn
}
