# A cache for what the gateway reads again and again. Nothing stands on it: it may be empty at any moment.

resource "aws_elasticache_subnet_group" "this" {
  name       = "${var.name}-cache"
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = "${var.name}-cache"
  description          = "What the gateway reads again and again"

  engine         = "valkey"
  engine_version = "8.0"
  node_type      = var.node_type

  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this.id]

  transit_encryption_enabled = true
  at_rest_encryption_enabled = true
  kms_key_id                 = var.catalog_key_arn
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]
}

# By role: there is no password to keep.
resource "aws_elasticache_user" "gateway" {
  user_id       = "${var.name}-gateway"
  user_name     = "${var.name}-gateway"
  engine        = "valkey"
  access_string = "on ~* -@all +@read +@write +@connection"

  authentication_mode {
    type = "iam"
  }
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = "${var.name}-cache"
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.gateway.user_id]
}

resource "aws_security_group" "this" {
  name        = "${var.name}-cache"
  description = "Clients of the cache"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  security_group_id = aws_security_group.this.id
  description       = "Valkey from inside"
  cidr_ipv4         = var.client_cidr
  ip_protocol       = "tcp"
  from_port         = 6379
  to_port           = 6379
}
