# One key for each purpose, so that each can be taken away alone.

locals {
  # The account's administrators rule the keys; roles get single actions in their own policies (module iam).
  administration = {
    Sid       = "Administration"
    Effect    = "Allow"
    Action    = "kms:*"
    Resource  = "*"
    Principal = { AWS = "arn:${var.partition}:iam::${var.account_id}:root" }
  }
  logs = {
    Sid       = "LogsOfThisAccount"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    Resource  = "*"
    Principal = { Service = "logs.${var.region}.amazonaws.com" }
    Condition = {
      ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:*" }
    }
  }
  alerts = {
    Sid       = "AlertsOfThisAccount"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = "*"
    Principal = { Service = "aps.amazonaws.com" }
    Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
  }
  purposes = {
    storage = "Images and what is made of them"
    kafka   = "The brokers' disks"
    catalog = "The catalog's database and the cache"
    secrets = "Accounts of the broker and the database, and the site's keys"
    logs    = "Logs, metrics, alerts and container images"
  }
}

resource "aws_kms_key" "this" {
  for_each = local.purposes

  description             = "${var.name}: ${each.value}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.administration], each.key == "logs" ? [local.logs, local.alerts] : [])
  })

  lifecycle {
    # Without its key an image is gone, whatever copies there are.
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  for_each = local.purposes

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
