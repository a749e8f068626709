output "arns" {
  description = "By purpose (storage, kafka, catalog, secrets, logs), the key."
  value       = { for purpose, key in aws_kms_key.this : purpose => key.arn }
}
