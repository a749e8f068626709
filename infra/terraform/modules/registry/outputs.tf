output "repositories" {
  description = "By image: where it is pulled from, and the repository's ARN."
  value = {
    for image, repository in aws_ecr_repository.this :
    image => { url = repository.repository_url, arn = repository.arn }
  }
}
