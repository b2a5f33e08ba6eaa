/** Where GuardDuty's fields go in ECS, as Elastic's and Matano's integrations have them. Pure. */
import { fieldMap, type FieldMap } from './field-map.js'

const INSTANCE = fieldMap({
  'instanceDetails.instanceId': ['cloud.instance.id', 'host.id'],
  'instanceDetails.instanceType': 'cloud.machine.type',
  'instanceDetails.availabilityZone': 'cloud.availability_zone',
  'instanceDetails.networkInterfaces.privateIpAddress': 'host.ip',
  'instanceDetails.networkInterfaces.privateIpAddresses.privateIpAddress': 'host.ip',
  'instanceDetails.networkInterfaces.publicIp': 'host.ip',
  'instanceDetails.networkInterfaces.ipv6Addresses': 'host.ip',
  'instanceDetails.networkInterfaces.privateDnsName': 'related.hosts',
  'instanceDetails.networkInterfaces.publicDnsName': 'related.hosts',
})
const ACCESS_KEY = fieldMap({
  'accessKeyDetails.userName': 'user.name',
  'accessKeyDetails.principalId': 'user.id',
  'accessKeyDetails.accessKeyId': 'aws.access_key_id',
})
const BUCKET = fieldMap({
  's3BucketDetails.name': 'aws.s3.bucket.name',
  's3BucketDetails.arn': 'resource.id',
  's3BucketDetails.s3ObjectDetails.objectArn': 'resource.id',
  's3BucketDetails.s3ObjectDetails.key': 'file.path',
  's3BucketDetails.s3ObjectDetails.hash': 'file.hash.*',
})
const CLUSTER = fieldMap({
  'eksClusterDetails.name': 'orchestrator.cluster.name',
  'eksClusterDetails.arn': 'resource.id',
  'ecsClusterDetails.name': 'orchestrator.cluster.name',
  'ecsClusterDetails.arn': 'resource.id',
  'ecsClusterDetails.taskDetails.arn': 'resource.id',
  'ecsClusterDetails.taskDetails.containers.id': 'container.id',
  'ecsClusterDetails.taskDetails.containers.name': 'container.name',
  'ecsClusterDetails.taskDetails.containers.image': 'container.image.name',
})
const KUBERNETES = fieldMap({
  'kubernetesDetails.kubernetesUserDetails.username': 'user.name',
  'kubernetesDetails.kubernetesUserDetails.uid': 'user.id',
  'kubernetesDetails.kubernetesUserDetails.groups': 'user.roles',
  'kubernetesDetails.kubernetesWorkloadDetails.name': 'orchestrator.resource.name',
  'kubernetesDetails.kubernetesWorkloadDetails.type': 'orchestrator.resource.type',
  'kubernetesDetails.kubernetesWorkloadDetails.namespace': 'orchestrator.namespace',
  'kubernetesDetails.kubernetesWorkloadDetails.containers.id': 'container.id',
  'kubernetesDetails.kubernetesWorkloadDetails.containers.name': 'container.name',
  'kubernetesDetails.kubernetesWorkloadDetails.containers.image': 'container.image.name',
})
const CONTAINER = fieldMap({
  'containerDetails.id': 'container.id',
  'containerDetails.name': 'container.name',
  'containerDetails.image': 'container.image.name',
})
const DATABASE = fieldMap({
  'rdsDbInstanceDetails.dbInstanceArn': 'resource.id',
  'rdsDbInstanceDetails.dbInstanceIdentifier': 'resource.name',
  'rdsLimitlessDbDetails.dbShardGroupArn': 'resource.id',
  'rdsLimitlessDbDetails.dbShardGroupIdentifier': 'resource.name',
  'rdsDbUserDetails.user': 'user.name',
})
const FUNCTION = fieldMap({
  'lambdaDetails.functionName': 'faas.name',
  'lambdaDetails.functionArn': 'resource.id',
})
const IMAGE = fieldMap({
  'ebsSnapshotDetails.snapshotArn': 'resource.id',
  'ec2ImageDetails.imageArn': 'resource.id',
  'recoveryPointDetails.recoveryPointArn': 'resource.id',
})

/** The sections of `resource` that each `resourceType` has. The types grow; one that is not here has any section. */
export const FIELDS_OF_RESOURCE: ReadonlyMap<string, readonly FieldMap[]> = new Map([
  ['Instance', [INSTANCE]],
  ['AccessKey', [ACCESS_KEY]],
  ['S3Bucket', [BUCKET, ACCESS_KEY]],
  ['S3Object', [BUCKET]],
  ['EKSCluster', [CLUSTER, KUBERNETES]],
  ['ECSCluster', [CLUSTER, CONTAINER]],
  ['Container', [CONTAINER, INSTANCE]],
  ['KubernetesWorkload', [KUBERNETES, CLUSTER]],
  ['RDSDBInstance', [DATABASE]],
  ['RDSLimitlessDB', [DATABASE]],
  ['Lambda', [FUNCTION]],
  ['EBSSnapshot', [IMAGE]],
  ['EC2Image', [IMAGE]],
  ['EC2AMI', [IMAGE]],
  ['EBSRecoveryPoint', [IMAGE]],
])

export const RESOURCE_FIELDS = [INSTANCE, ACCESS_KEY, BUCKET, CLUSTER, KUBERNETES, CONTAINER, DATABASE, FUNCTION, IMAGE]

/** What is not about the resource's section: processes, malware, threat lists, attack sequences. */
export const FIELDS = fieldMap({
  'service.runtimeDetails.process.name': 'process.name',
  'service.runtimeDetails.process.executablePath': 'process.executable',
  'service.runtimeDetails.process.pid': 'process.pid',
  'service.runtimeDetails.process.user': 'user.name',
  'service.runtimeDetails.process.executableSha256': 'process.hash.sha256',
  'service.runtimeDetails.process.scriptPath': 'file.path',
  'service.runtimeDetails.process.lineage.name': 'process.parent.name',
  'service.runtimeDetails.process.lineage.executablePath': 'process.parent.executable',
  'service.runtimeDetails.process.lineage.pid': 'process.parent.pid',
  'service.runtimeDetails.context.modifyingProcess.name': 'process.name',
  'service.runtimeDetails.context.modifyingProcess.executablePath': 'process.executable',
  'service.runtimeDetails.context.modifyingProcess.executableSha256': 'process.hash.sha256',
  'service.runtimeDetails.context.targetProcess.name': 'process.name',
  'service.runtimeDetails.context.targetProcess.executablePath': 'process.executable',
  'service.runtimeDetails.context.targetProcess.executableSha256': 'process.hash.sha256',
  'service.runtimeDetails.context.commandLineExample': 'process.command_line',
  'service.runtimeDetails.context.ldPreloadValue': 'file.path',
  'service.runtimeDetails.context.libraryPath': 'file.path',
  'service.runtimeDetails.context.moduleFilePath': 'file.path',
  'service.runtimeDetails.context.scriptPath': 'file.path',
  'service.runtimeDetails.context.socketPath': 'file.path',
  'service.runtimeDetails.context.threatFilePath': 'file.path',
  'service.runtimeDetails.context.toolName': 'threat.software.name',
  'service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames.name': 'threat.software.name',
  'service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames.filePaths.filePath': 'file.path',
  'service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames.filePaths.fileName': 'file.name',
  'service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames.filePaths.hash': 'file.hash.*',
  'service.malwareScanDetails.threats.name': 'threat.software.name',
  'service.malwareScanDetails.threats.itemPaths.nestedItemPath': 'file.path',
  'service.malwareScanDetails.threats.itemPaths.hash': 'file.hash.*',
  'service.evidence.threatIntelligenceDetails.threatListName': 'threat.feed.name',
  'service.evidence.threatIntelligenceDetails.threatNames': 'threat.software.name',
  'service.evidence.threatIntelligenceDetails.threatFileSha256': 'threat.indicator.file.hash.sha256',
  'service.detection.sequence.actors.user.name': 'user.name',
  'service.detection.sequence.actors.user.uid': 'user.id',
  'service.detection.sequence.actors.process.name': 'process.name',
  'service.detection.sequence.actors.process.path': 'process.executable',
  'service.detection.sequence.actors.process.sha256': 'process.hash.sha256',
  'service.detection.sequence.resources.uid': 'resource.id',
  'service.detection.sequence.resources.name': 'resource.name',
  'service.detection.sequence.resources.resourceType': 'resource.type',
  'service.detection.sequence.endpoints.ip': 'source.ip',
  'service.detection.sequence.endpoints.domain': 'source.domain',
  'service.detection.sequence.endpoints.autonomousSystem.name': 'source.as.organization.name',
  'service.detection.sequence.endpoints.autonomousSystem.number': 'source.as.number',
  'service.detection.sequence.endpoints.location.city': 'source.geo.city_name',
  'service.detection.sequence.endpoints.location.country': 'source.geo.country_name',
})

/** The indicators of an attack sequence by their key, the first that fits. */
export const INDICATORS: readonly (readonly [RegExp, string])[] = [
  [/^ATTACK_TACTIC$/, 'threat.tactic.name'],
  [/^ATTACK_TECHNIQUE$/, 'threat.technique'],
  [/_IP$/, 'related.ip'],
  [/_DOMAIN$/, 'related.hosts'],
  [/USER_AGENT$/, 'user_agent.original'],
  [/_PROCESS$/, 'process.name'],
  [/_API(_|$)/, 'event.action'],
]
