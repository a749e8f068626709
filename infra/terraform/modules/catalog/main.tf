# The catalog's database. It can be made anew from the log (`radstream catalog rebuild`); its backups save the time.

resource "aws_db_subnet_group" "this" {
  name       = "${var.name}-catalog"
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name   = "${var.name}-catalog"
  family = "postgres17"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # Values of rows and statements can be patient attributes: they stay out of the log.
  parameter {
    name  = "log_error_verbosity"
    value = "terse"
  }

  parameter {
    name  = "log_min_error_statement"
    value = "panic"
  }
}

resource "aws_db_instance" "this" {
  identifier = "${var.name}-catalog"

  engine               = "postgres"
  engine_version       = "17"
  instance_class       = var.instance_class
  parameter_group_name = aws_db_parameter_group.this.name

  db_name             = "radstream"
  username            = "radstream"
  password_wo         = var.password
  password_wo_version = var.password_version

  multi_az               = true
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false

  storage_type          = "gp3"
  allocated_storage     = var.disk_gib
  max_allocated_storage = var.disk_gib_max
  storage_encrypted     = true
  kms_key_id            = var.catalog_key_arn

  backup_retention_period         = 35
  copy_tags_to_snapshot           = true
  deletion_protection             = true
  skip_final_snapshot             = false
  final_snapshot_identifier       = "${var.name}-catalog-last"
  auto_minor_version_upgrade      = true
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.catalog_key_arn

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret" "owner" {
  name        = "${var.name}/catalog"
  description = "Account of the catalog's database"
  kms_key_id  = var.secrets_key_arn
}

resource "aws_secretsmanager_secret_version" "owner" {
  secret_id = aws_secretsmanager_secret.owner.id
  secret_string_wo = jsonencode({
    username = aws_db_instance.this.username
    password = var.password
  })
  secret_string_wo_version = var.password_version
}

resource "aws_security_group" "this" {
  name        = "${var.name}-catalog"
  description = "Clients of the catalog's database"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  security_group_id = aws_security_group.this.id
  description       = "PostgreSQL from inside"
  cidr_ipv4         = var.client_cidr
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
}
