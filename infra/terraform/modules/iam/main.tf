# Two roles for each service: what its code may do (its folders of its buckets, its key), and what starts it (its image,
# its secrets, its log). Topics are not here: accounts and their grants on the brokers are in modules msk and topics.

locals {
  object_actions = {
    read   = ["s3:GetObject", "s3:GetObjectVersion"]
    create = ["s3:PutObject"]
    delete = ["s3:DeleteObjectVersion"]
    hold   = ["s3:GetObjectLegalHold", "s3:PutObjectLegalHold"]
    # Out of a class that has to be asked first.
    restore = ["s3:RestoreObject"]
    probe = [
      "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectLegalHold", "s3:GetObjectVersion",
      "s3:PutObject", "s3:PutObjectLegalHold",
    ]
  }
  # A probe looks at the whole bucket, as it lists without a prefix (streams/probe.py).
  bucket_actions = {
    read    = []
    create  = []
    delete  = ["s3:ListBucketVersions"]
    hold    = []
    restore = []
    probe   = ["s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:ListBucket", "s3:ListBucketVersions"]
  }

  objects = {
    for service, entry in var.services : service => [
      for one in entry.store : {
        Sid    = "Objects${title(one.bucket)}${join("", [for verb in one.may : title(verb)])}"
        Effect = "Allow"
        Action = sort(distinct(flatten([for verb in one.may : local.object_actions[verb]])))
        Resource = [
          for folder in(contains(one.may, "probe") ? [".radstream-probe"] : [for name in one.folders : "${var.tenant}/${name}"]) :
          "${var.buckets[one.bucket].arn}/${folder}/*"
        ]
      }
    ]
  }
  bucket = {
    for service, entry in var.services : service => [
      for one in entry.store : {
        Sid      = "Bucket${title(one.bucket)}${join("", [for verb in one.may : title(verb)])}"
        Effect   = "Allow"
        Action   = sort(distinct(flatten([for verb in one.may : local.bucket_actions[verb]])))
        Resource = [var.buckets[one.bucket].arn]
      } if length(flatten([for verb in one.may : local.bucket_actions[verb]])) > 0
    ]
  }
  listing = {
    for service, entry in var.services : service => [
      for bucket in distinct(concat(entry.looks ? ["hot"] : [], entry.store[*].bucket)) : {
        Sid      = "List${title(bucket)}"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [var.buckets[bucket].arn]
        Condition = {
          StringLike = {
            # Every service looks for the store by this prefix when it starts (streams/service.py).
            "s3:prefix" = distinct(concat(
              entry.looks && bucket == "hot" ? ["${var.tenant}/checkpoints/none/*"] : [],
              [for folder in flatten([for one in entry.store : one.folders if one.bucket == bucket]) : "${var.tenant}/${folder}/*"],
            ))
          }
        }
      }
    ]
  }
  key = {
    for service, entry in var.services : service => [
      for _ in slice(["once"], 0, min(1, length(entry.store))) : {
        Sid       = "KeyOfTheStore"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [var.storage_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      }
    ]
  }
}

resource "aws_iam_role" "task" {
  for_each = var.services

  name               = "${var.name}-${each.key}"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "task" {
  for_each = { for service, entry in var.services : service => entry if entry.looks || length(entry.store) > 0 }

  name = "store"
  role = aws_iam_role.task[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.objects[each.key], local.bucket[each.key], local.listing[each.key], local.key[each.key]
    )
  })
}

locals {
  secrets = {
    for service, arns in var.secret_arns : service => [
      for statement in [
        { Sid = "ItsSecrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = arns },
        { Sid = "KeyOfTheSecrets", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.secrets_key_arn] },
      ] : statement if length(arns) > 0
    ]
  }
}

resource "aws_iam_role" "start" {
  for_each = var.services

  name               = "${var.name}-${each.key}-start"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "start" {
  for_each = var.services

  name = "start"
  role = aws_iam_role.start[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        # A token for the registry is of no repository: AWS knows no resource for it.
        Sid      = "Registry"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*"
      },
      {
        Sid      = "ItsImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [var.repositories[each.key].arn]
      },
      {
        Sid      = "SchemaIds"
        Effect   = "Allow"
        Action   = ["ssm:GetParameters"]
        Resource = [var.schema_ids_arn]
      },
      {
        Sid      = "ItsLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${var.log_group_arns[each.key]}:*"]
      },
    ], local.secrets[each.key])
  })
}

# Who makes topics and grants: from inside the network, with this role. It cannot delete a topic.
resource "aws_iam_role" "topics" {
  name = "${var.name}-topics"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NamedPeople"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.administrator_arns }
      Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } }
    }]
  })
}

resource "aws_iam_role_policy" "topics" {
  name = "topics"
  role = aws_iam_role.topics.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Cluster"
        Effect   = "Allow"
        Action   = ["kafka-cluster:AlterCluster", "kafka-cluster:Connect", "kafka-cluster:DescribeCluster"]
        Resource = [var.cluster_arn]
      },
      {
        Sid    = "Topics"
        Effect = "Allow"
        Action = [
          "kafka-cluster:AlterTopicDynamicConfiguration", "kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic",
          "kafka-cluster:DescribeTopicDynamicConfiguration",
        ]
        Resource = ["${replace(var.cluster_arn, ":cluster/", ":topic/")}/imaging.*"]
      },
    ]
  })
}

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}
