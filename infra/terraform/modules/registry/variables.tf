variable "name" {
  description = "First part of every repository's name."
  type        = string
}

variable "images" {
  description = "Images: one for each service, and those of others that run beside them."
  type        = list(string)

  validation {
    condition     = length(var.images) == length(distinct(var.images))
    error_message = "Each image once."
  }
}

variable "logs_key_arn" {
  description = "KMS key of the images."
  type        = string
}
