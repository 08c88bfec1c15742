"""VPC endpoints: connections to AWS's services that do not leave the VPC."""

from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_endpoint import VpcEndpoint
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from bakery_stacks.stacks.network.vpc import Vpc

# Services that machines of the other stacks call: sessions and parameters, container images, keys, discovery of a
# cluster's machines, groups, logs and metrics. Each endpoint costs by the hour in each zone.
INTERFACES = (
    *("ssm", "ssmmessages", "ec2messages"),
    *("ecr.api", "ecr.dkr"),
    *("kms", "sts", "ec2", "autoscaling", "elasticloadbalancing"),
    *("logs", "monitoring"),
)


class Endpoints(Construct):
    """Private DNS names need no setting in clients. The endpoint of S3 is a route, and free of charge."""

    def __init__(self, scope: Construct, name: str, *, title: str, region: str, vpc: Vpc, cidr: str) -> None:
        super().__init__(scope, name)
        group = SecurityGroup(
            self, "firewall", name=f"{title}-endpoints", description="Endpoints of AWS's services", vpc_id=vpc.id
        )
        VpcSecurityGroupIngressRule(
            self,
            "https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=cidr,
        )
        for service in INTERFACES:
            VpcEndpoint(
                self,
                service,
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(vpc.subnets.values()),
                security_group_ids=[group.id],
                tags={"Name": f"{title}-{service}"},
            )
        VpcEndpoint(
            self,
            "s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(vpc.route_tables.values()),
            tags={"Name": f"{title}-s3"},
        )
