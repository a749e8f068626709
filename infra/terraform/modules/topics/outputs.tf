output "names" {
  description = "The topics that were made."
  value       = keys(kafka_topic.this)
}
