# Three brokers in three zones. Services come with an account of their own (SCRAM over TLS), administration with a role.

locals {
  # AWS's own limits: copies of partitions on one broker of a size beyond which MSK refuses to update a cluster. It
  # recommends two thirds of them where all carry traffic; dead letters, retries and lanes that are mostly idle do not.
  replicas_max = {
    "kafka.m7g.large"   = 1500
    "kafka.m7g.xlarge"  = 1500
    "kafka.m7g.2xlarge" = 3000
    "kafka.m7g.4xlarge" = 6000
    "kafka.m7g.8xlarge" = 6000
  }
}

resource "aws_msk_cluster" "this" {
  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = 3
  enhanced_monitoring    = "PER_TOPIC_PER_BROKER"

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.subnet_ids
    security_groups = [aws_security_group.brokers.id]

    storage_info {
      ebs_storage_info {
        volume_size = var.disk_gib
      }
    }

    connectivity_info {
      public_access {
        type = "DISABLED"
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      scram = true
      iam   = true
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kafka_key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }

  open_monitoring {
    prometheus {
      jmx_exporter {
        enabled_in_broker = true
      }
      node_exporter {
        enabled_in_broker = true
      }
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers.name
      }
    }
  }

  lifecycle {
    # The log is the truth.
    prevent_destroy = true
    # The disks grow by themselves (below).
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]

    precondition {
      condition     = var.replicas / 3 <= local.replicas_max[var.instance_type]
      error_message = "topics.yaml asks for ${var.replicas} copies of partitions, ${ceil(var.replicas / 3)} on each broker: more than ${var.instance_type} may hold."
    }
  }
}

resource "aws_msk_configuration" "this" {
  name           = var.name
  kafka_versions = [var.kafka_version]
  server_properties = join("\n", [
    for key, value in local.server_properties : "${key} = ${value}"
  ])
}

locals {
  server_properties = {
    "allow.everyone.if.no.acl.found"   = "false"
    "auto.create.topics.enable"        = "false"
    "default.replication.factor"       = "3"
    "delete.topic.enable"              = "false"
    "min.insync.replicas"              = "2"
    "offsets.retention.minutes"        = "2147483647"
    "offsets.topic.replication.factor" = "3"
    "unclean.leader.election.enable"   = "false"
  }
}

resource "aws_cloudwatch_log_group" "brokers" {
  name              = "/${var.name}/brokers"
  retention_in_days = var.log_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_security_group" "brokers" {
  name        = "${var.name}-brokers"
  description = "Clients of the brokers"
  vpc_id      = var.vpc_id
}

# 9096 SCRAM, 9098 IAM, 11001 and 11002 metrics for Prometheus.
resource "aws_vpc_security_group_ingress_rule" "brokers" {
  for_each = { scram = [9096, 9096], iam = [9098, 9098], metrics = [11001, 11002] }

  security_group_id = aws_security_group.brokers.id
  description       = "${each.key} from inside"
  cidr_ipv4         = var.client_cidr
  ip_protocol       = "tcp"
  from_port         = each.value[0]
  to_port           = each.value[1]
}

resource "aws_vpc_security_group_ingress_rule" "each_other" {
  security_group_id            = aws_security_group.brokers.id
  description                  = "Brokers among themselves"
  referenced_security_group_id = aws_security_group.brokers.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "each_other" {
  security_group_id            = aws_security_group.brokers.id
  description                  = "Brokers among themselves"
  referenced_security_group_id = aws_security_group.brokers.id
  ip_protocol                  = "-1"
}

# One account for each service. Its password is in no plan and no state: it is written once, and only read by the brokers
# and by who has the secret. The first part of the name is the brokers' demand.
resource "aws_secretsmanager_secret" "account" {
  for_each = toset(var.accounts)

  name        = "AmazonMSK_${var.name}-${each.key}"
  description = "Account of ${each.key} on the brokers"
  kms_key_id  = var.secrets_key_arn
}

resource "aws_secretsmanager_secret_version" "account" {
  for_each = toset(var.accounts)

  secret_id = aws_secretsmanager_secret.account[each.key].id
  secret_string_wo = jsonencode({
    username = each.key
    password = var.passwords[each.key]
  })
  secret_string_wo_version = var.password_version
}

resource "aws_secretsmanager_secret_policy" "account" {
  for_each = toset(var.accounts)

  secret_arn = aws_secretsmanager_secret.account[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheBrokersRead"
      Effect    = "Allow"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = aws_secretsmanager_secret.account[each.key].arn
      Principal = { Service = "kafka.amazonaws.com" }
    }]
  })
}

resource "aws_msk_scram_secret_association" "accounts" {
  cluster_arn     = aws_msk_cluster.this.arn
  secret_arn_list = [for secret in aws_secretsmanager_secret.account : secret.arn]

  depends_on = [aws_secretsmanager_secret_version.account, aws_secretsmanager_secret_policy.account]
}

# The log is kept for ever, so its disks grow.
resource "aws_appautoscaling_target" "disk" {
  service_namespace  = "kafka"
  resource_id        = aws_msk_cluster.this.arn
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  min_capacity       = 1
  max_capacity       = var.disk_gib_max
}

resource "aws_appautoscaling_policy" "disk" {
  name               = "${var.name}-broker-disk"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.disk.service_namespace
  resource_id        = aws_appautoscaling_target.disk.resource_id
  scalable_dimension = aws_appautoscaling_target.disk.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value     = 60
    disable_scale_in = true

    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}
