# A broker that cannot hold the partitions of topics.yaml is refused before it is bought.

mock_provider "aws" {}

variables {
  name            = "radstream-test"
  vpc_id          = "vpc-0"
  subnet_ids      = ["subnet-a", "subnet-b", "subnet-c"]
  client_cidr     = "10.71.0.0/16"
  replicas        = 6000
  accounts        = ["validate"]
  passwords       = { validate = "0000000000000000000000000000000000000000" }
  kafka_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  secrets_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  logs_key_arn    = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "large_enough" {
  command = plan

  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "unclean.leader.election.enable = false")
    error_message = "A broker that lacks acknowledged records never leads."
  }
}

run "too_small" {
  command = plan

  variables {
    instance_type = "kafka.m7g.large"
  }

  expect_failures = [aws_msk_cluster.this]
}

run "a_protocol_too_old" {
  command = plan

  variables {
    kafka_version = "3.9.x.kraft"
  }

  expect_failures = [var.kafka_version]
}

run "a_password_that_is_none" {
  command = plan

  variables {
    passwords = { validate = "short" }
  }

  expect_failures = [var.passwords]
}
