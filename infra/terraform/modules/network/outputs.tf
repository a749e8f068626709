output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "The private subnets, one for each zone."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]
}

output "cidr" {
  description = "Addresses of the network."
  value       = aws_vpc.this.cidr_block
}

output "s3_endpoint_id" {
  description = "The only door to the buckets."
  value       = aws_vpc_endpoint.s3.id
}

output "s3_prefix_list_id" {
  description = "Addresses of S3."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
