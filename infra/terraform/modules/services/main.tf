# Everything that runs: a task definition and a service for each entry, on Fargate, or on machines with a GPU.

locals {
  gpu     = { for name, entry in var.services : name => entry if entry.gpu > 0 }
  scaling = { for name, entry in var.services : name => entry if entry.lag > 0 }
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = concat(["FARGATE"], [for provider in aws_ecs_capacity_provider.gpu : provider.name])
}

resource "aws_ecs_task_definition" "this" {
  for_each = var.services

  family                   = "${var.name}-${each.key}"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  network_mode             = "awsvpc"
  requires_compatibilities = [each.value.gpu > 0 ? "EC2" : "FARGATE"]
  task_role_arn            = each.value.task_role_arn
  execution_role_arn       = each.value.start_role_arn

  container_definitions = jsonencode([{
    name                   = each.key
    image                  = each.value.image
    essential              = true
    readonlyRootFilesystem = true
    stopTimeout            = 60
    linuxParameters        = { initProcessEnabled = true }
    command                = each.value.command
    environment            = [for key in sort(keys(each.value.environment)) : { name = key, value = each.value.environment[key] }]
    secrets                = [for key in sort(keys(each.value.secrets)) : { name = key, valueFrom = each.value.secrets[key] }]
    portMappings           = [for port in each.value.ports : { containerPort = port, protocol = "tcp" }]
    mountPoints            = [for folder in local.folders : { sourceVolume = folder.name, containerPath = folder.path, readOnly = false }]
    resourceRequirements   = [for _ in range(min(1, each.value.gpu)) : { type = "GPU", value = tostring(each.value.gpu) }]
    healthCheck = length(each.value.health) == 0 ? null : {
      command = each.value.health, interval = 15, timeout = 5, retries = 4, startPeriod = 120
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = each.value.log_group
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  }])

  dynamic "volume" {
    for_each = local.folders

    content {
      name = volume.value.name
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }
}

locals {
  # The only places that a task may write; gone with it.
  folders = [
    { name = "run", path = "/run/radstream" },
    { name = "tmp", path = "/tmp" },
    { name = "large", path = "/var/tmp" },
  ]
}

resource "aws_ecs_service" "this" {
  for_each = var.services

  name                   = each.key
  cluster                = aws_ecs_cluster.this.id
  task_definition        = aws_ecs_task_definition.this[each.key].arn
  desired_count          = each.value.count.min
  enable_execute_command = false
  propagate_tags         = "SERVICE"

  # A member more for a moment is harmless; two at once of what may have one only are not started.
  deployment_maximum_percent         = each.value.count.max == 1 ? 100 : 200
  deployment_minimum_healthy_percent = each.value.count.max == 1 ? 0 : 100

  capacity_provider_strategy {
    capacity_provider = each.value.gpu > 0 ? aws_ecs_capacity_provider.gpu[each.key].name : "FARGATE"
    weight            = 1
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this[each.key].arn
  }

  dynamic "load_balancer" {
    for_each = contains(keys(var.doors), each.key) ? [var.doors[each.key].port] : []

    content {
      target_group_arn = aws_lb_target_group.door[each.key].arn
      container_name   = each.key
      container_port   = load_balancer.value
    }
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    # Autoscaling's.
    ignore_changes = [desired_count]
  }

  depends_on = [aws_lb_listener.door]
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name = var.domain
  vpc  = var.vpc_id
}

resource "aws_service_discovery_service" "this" {
  for_each = var.services

  name = each.key

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

# A hospital's systems come here, over the site's line: scanners by DICOM over TLS (PS3.15 annex B), a RIS by HL7. The service
# itself ends TLS: it has to see whose certificate and whose address it is.
resource "aws_lb" "hospital" {
  name                             = "${var.name}-hospital"
  internal                         = true
  load_balancer_type               = "network"
  subnets                          = var.subnet_ids
  security_groups                  = [aws_security_group.hospital.id]
  enable_deletion_protection       = true
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_target_group" "door" {
  for_each = var.doors

  name               = "${var.name}-${each.key}"
  port               = each.value.port
  protocol           = "TCP"
  target_type        = "ip"
  vpc_id             = var.vpc_id
  preserve_client_ip = "true"
  # As long as the router lets associations go on.
  deregistration_delay = 60

  health_check {
    protocol = "HTTP"
    path     = "/readyz"
    port     = tostring(each.value.http_port)
  }
}

resource "aws_lb_listener" "door" {
  for_each = var.doors

  load_balancer_arn = aws_lb.hospital.arn
  port              = each.value.port
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.door[each.key].arn
  }
}
