"""The address of the cluster: an internal network load balancer, which passes TLS on to the nodes."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.lb import Lb
from cdktf_cdktf_provider_aws.lb_listener import LbListener, LbListenerDefaultAction
from cdktf_cdktf_provider_aws.lb_target_group import LbTargetGroup, LbTargetGroupHealthCheck
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from bakery_stacks.outputs import NetworkOutputs


class InternalLoadBalancer(Construct):
    """Sends clients to nodes that answer `health` with 200. Nodes see them come from `security_group_id`."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        title: str,
        network: NetworkOutputs,
        port: int,
        clients: Sequence[str],
        health: str,
        protected: bool,
    ) -> None:
        super().__init__(scope, name)
        self.security_group_id = self._make_security_group(title, network.vpc_id, port, clients)
        balancer = Lb(
            self,
            "balancer",
            name=title,
            internal=True,
            load_balancer_type="network",
            subnets=list(network.subnet_ids),
            security_groups=[self.security_group_id],
            enable_cross_zone_load_balancing=True,  # clients of a zone need nodes of other zones when their own is down
            enable_deletion_protection=protected,
        )
        check = LbTargetGroupHealthCheck(
            protocol="HTTPS", path=health, matcher="200", interval=10, healthy_threshold=2, unhealthy_threshold=2
        )
        group = LbTargetGroup(
            self,
            "nodes",
            name=title,
            port=port,
            protocol="TCP",
            vpc_id=network.vpc_id,
            target_type="instance",
            preserve_client_ip="true",  # the audit log shows the client's address
            deregistration_delay="30",
            health_check=check,
        )
        forward = LbListenerDefaultAction(type="forward", target_group_arn=group.arn)
        LbListener(
            self, "listener", load_balancer_arn=balancer.arn, port=port, protocol="TCP", default_action=[forward]
        )
        self.target_group_arn: str = group.arn
        self.dimensions = {"LoadBalancer": balancer.arn_suffix, "TargetGroup": group.arn_suffix}
        self.dns_name: str = balancer.dns_name
        self.zone_id: str = balancer.zone_id

    def _make_security_group(self, title: str, vpc_id: str, port: int, clients: Sequence[str]) -> str:
        group = SecurityGroup(self, "firewall", name=f"{title}-front", description=f"Clients of {title}", vpc_id=vpc_id)
        for number, cidr in enumerate(clients):
            VpcSecurityGroupIngressRule(
                self,
                f"in-{number}",
                security_group_id=group.id,
                description="Clients",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4=cidr,
            )
        return group.id

    def allow_egress(self, security_group_id: str, port: int) -> None:
        """Allow connections to the nodes, and nowhere else."""
        VpcSecurityGroupEgressRule(
            self,
            "out",
            security_group_id=self.security_group_id,
            description="Nodes",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=security_group_id,
        )
