output "buckets" {
  description = "By tier (hot, warm, cold, backup): name and ARN of its bucket."
  value       = { for tier, bucket in aws_s3_bucket.tier : tier => { name = bucket.bucket, arn = local.arns[tier] } }
}
