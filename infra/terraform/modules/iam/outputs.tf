output "task_role_arns" {
  description = "By service, the role of its code."
  value       = { for service, role in aws_iam_role.task : service => role.arn }
}

output "start_role_arns" {
  description = "By service, the role that starts it."
  value       = { for service, role in aws_iam_role.start : service => role.arn }
}

output "topics_role_arn" {
  description = "The role that makes topics and grants."
  value       = aws_iam_role.topics.arn
}

output "task_role_names" {
  description = "By service, the name of its code's role."
  value       = { for service, role in aws_iam_role.task : service => role.name }
}
