# Four buckets for images, one for each tier, and one for the records of who asked for what.
# Every bucket can lock objects, so that a hold is the store's own; how long nothing may be deleted is said by tier.

locals {
  tiers = {
    hot    = { retention_days = 0, class = null, class_days = 0 }
    warm   = { retention_days = 0, class = "STANDARD_IA", class_days = 30 }
    cold   = { retention_days = var.cold_retention_days, class = "GLACIER_IR", class_days = 1 }
    backup = { retention_days = var.backup_retention_days, class = "GLACIER_IR", class_days = 1 }
  }
  # By name and not by the made bucket's attribute: a plan can show whole policies before anything is there.
  arns    = { for name, bucket in local.buckets : name => "arn:${var.partition}:s3:::${bucket.bucket}" }
  locked  = { for tier, set in local.tiers : tier => set if set.retention_days > 0 }
  buckets = merge({ for tier in keys(local.tiers) : tier => aws_s3_bucket.tier[tier] }, { logs = aws_s3_bucket.logs })
}

resource "aws_s3_bucket" "tier" {
  for_each = local.tiers

  bucket              = "${var.name}-${var.account_id}-${each.key}"
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "tier" {
  for_each = local.tiers

  bucket = aws_s3_bucket.tier[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Governance: a named role may end a retention early (a court, a mix-up of patients), and leaves a trace.
resource "aws_s3_bucket_object_lock_configuration" "tier" {
  for_each = local.locked

  bucket = aws_s3_bucket.tier[each.key].id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = each.value.retention_days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "tier" {
  for_each = local.tiers

  bucket = aws_s3_bucket.tier[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.storage_key_arn
    }
  }
}

# Where an image goes as it ages is decided by consumers/tiering, which verifies a copy first. Here only the price of
# what lies in a bucket changes, never what is in it: no rule deletes an object.
resource "aws_s3_bucket_lifecycle_configuration" "tier" {
  for_each = local.tiers

  bucket = aws_s3_bucket.tier[each.key].id

  rule {
    id     = "forget-uploads-that-nobody-finished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = each.value.class == null ? [] : [each.value]

    content {
      id     = "cheaper-class"
      status = "Enabled"

      filter {}

      transition {
        days          = rule.value.class_days
        storage_class = rule.value.class
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.tier]
}

resource "aws_s3_bucket_logging" "tier" {
  for_each = local.tiers

  bucket        = aws_s3_bucket.tier[each.key].id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "${each.key}/"
}

# S3 writes its records here. It can neither use a key of ours nor keep to a default retention (AWS's own rule), so
# this bucket has Amazon's key and versions.
resource "aws_s3_bucket" "logs" {
  bucket              = "${var.name}-${var.account_id}-access-logs"
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "logs" {
  bucket = aws_s3_bucket.logs.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "end-of-keeping"
    status = "Enabled"

    filter {}

    expiration {
      days = var.access_log_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }

  depends_on = [aws_s3_bucket_versioning.logs]
}

resource "aws_s3_bucket_public_access_block" "all" {
  for_each = local.buckets

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "all" {
  for_each = local.buckets

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "all" {
  for_each = local.buckets

  bucket = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.refusals.tls[each.key]],
      [for name, refusal in local.refusals.door : refusal if name == each.key],
      [for name, grant in { logs = local.log_delivery } : grant if name == each.key],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.all]
}

locals {
  refusals = {
    tls = {
      for name, bucket in local.buckets : name => {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Action    = "s3:*"
        Resource  = [local.arns[name], "${local.arns[name]}/*"]
        Principal = "*"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    }
    # Bytes move through the network's own door. Administration (this plan, its state) comes another way and moves none.
    door = {
      for name, bucket in aws_s3_bucket.tier : name => {
        Sid       = "BytesOnlyThroughTheDoor"
        Effect    = "Deny"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource  = ["${local.arns[name]}/*"]
        Principal = "*"
        Condition = { StringNotEquals = { "aws:SourceVpce" = var.s3_endpoint_id } }
      }
    }
  }
  log_delivery = {
    Sid       = "S3WritesItsRecords"
    Effect    = "Allow"
    Action    = "s3:PutObject"
    Resource  = ["${local.arns["logs"]}/*"]
    Principal = { Service = "logging.s3.amazonaws.com" }
    Condition = {
      StringEquals = { "aws:SourceAccount" = var.account_id }
      ArnLike      = { "aws:SourceArn" = [for tier in keys(local.tiers) : local.arns[tier]] }
    }
  }
}
