package s3kloset

import (
	"encoding/json"
	"slices"
	"strings"
)

// Policy is an IAM policy: what Amazon and those who follow it take as an
// identity policy or as a session policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement allows actions on resources.
type Statement struct {
	Sid      string `json:",omitempty"`
	Effect   string
	Action   []string
	Resource []string
}

// policyVersion is the version of the language.
const policyVersion = "2012-10-17"

// String is the policy as JSON, indented.
func (p Policy) String() string {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err.Error() // strings and slices of strings cannot fail
	}
	return string(text)
}

// Actions are all actions that the policy allows, sorted.
func (p Policy) Actions() []string {
	var actions []string
	for _, s := range p.Statement {
		actions = append(actions, s.Action...)
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// Without is the policy less one action.
func (p Policy) Without(action string) Policy {
	less := Policy{Version: p.Version}
	for _, s := range p.Statement {
		s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
		if len(s.Action) > 0 {
			less.Statement = append(less.Statement, s)
		}
	}
	return less
}

// PolicyOption says what Policy cannot know from the options of the handle. A
// nil PolicyOption is skipped.
type PolicyOption func(*policyConfig)

type policyConfig struct {
	versions  bool
	locks     bool
	diagnosis bool
	keys      []string
}

// WithVersionedBucket adds what reading takes where the bucket has versions,
// or had some.
func WithVersionedBucket() PolicyOption { return func(c *policyConfig) { c.versions = true } }

// WithLockedBucket adds what recording the locks of objects takes, where the
// bucket has Object Lock. Such a bucket has versions too.
func WithLockedBucket() PolicyOption {
	return func(c *policyConfig) { c.versions, c.locks = true, true }
}

// WithDiagnosis adds what only Diagnose makes use of: without it some of its
// checks are VerdictUntested.
func WithDiagnosis() PolicyOption { return func(c *policyConfig) { c.diagnosis = true } }

// WithKMSKey adds the use of a KMS key, by its ARN, that objects are or become
// encrypted with. It adds up. The key of WithEncryption is known where it is an
// ARN.
func WithKMSKey(arn string) PolicyOption {
	return func(c *policyConfig) { c.keys = append(c.keys, arn) }
}

// Policy is what a role needs on this location with the options of the handle,
// and nothing more.
//
// The permission to list is for the whole bucket: S3 tells that an object is
// missing only to those who may list without a condition, and answers all
// others that they are not allowed to read it. Objects can be read and written
// below the location alone.
//
// The error is ErrInvalidOption for an unknown role.
func (b *Bucket) Policy(role Role, opts ...PolicyOption) (Policy, error) {
	if err := role.check(); err != nil {
		return Policy{}, err
	}
	var cfg policyConfig
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if key := b.cfg.encryption.KMSKeyID; role != RoleSource && strings.HasPrefix(key, "arn:") && !slices.Contains(cfg.keys, key) {
		cfg.keys = append(cfg.keys, key)
	}
	onBucket, onObjects := b.needs(role, cfg)
	p := Policy{Version: policyVersion}
	p.allow("Bucket", onBucket, b.bucketARN())
	p.allow("Objects", onObjects, b.objectARNs(role)...)
	p.allow("Keys", keyActions(role), cfg.keys...)
	return p, nil
}

// allow adds a statement, unless there is nothing to allow.
func (p *Policy) allow(sid string, actions []string, resources ...string) {
	if len(actions) == 0 || len(resources) == 0 {
		return
	}
	slices.Sort(actions)
	p.Statement = append(p.Statement, Statement{Sid: sid, Effect: "Allow", Action: slices.Compact(actions), Resource: resources})
}

// needs lists the actions of a role.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func (b *Bucket) needs(role Role, cfg policyConfig) (onBucket, onObjects []string) {
	switch role {
	case RoleSource:
		onBucket, onObjects = b.sourceNeeds(cfg)
	case RoleDestination:
		onBucket, onObjects = b.destinationNeeds()
	case RoleStore:
		onBucket, onObjects = b.storeNeeds()
	}
	if role != RoleSource && b.cfg.destination.createBucket {
		// Those who may not list are not told by every service that there is none.
		onBucket = append(onBucket, "s3:CreateBucket", "s3:ListBucket")
	}
	if cfg.diagnosis {
		onBucket = append(onBucket, "s3:ListBucket", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration")
		if role != RoleSource {
			onObjects = append(onObjects, "s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
		}
	}
	return onBucket, onObjects
}

func (b *Bucket) sourceNeeds(cfg policyConfig) (onBucket, onObjects []string) {
	onBucket, onObjects = []string{"s3:ListBucket"}, []string{"s3:GetObject"}
	if cfg.versions {
		onObjects = append(onObjects, "s3:GetObjectVersion")
	}
	if b.cfg.source.tags != TagsNever {
		onObjects = append(onObjects, "s3:GetObjectTagging")
		if cfg.versions {
			onObjects = append(onObjects, "s3:GetObjectVersionTagging")
		}
	}
	if cfg.locks {
		onObjects = append(onObjects, "s3:GetObjectRetention", "s3:GetObjectLegalHold")
	}
	if b.cfg.archive.action == archiveRestore {
		onObjects = append(onObjects, "s3:RestoreObject")
	}
	return onBucket, onObjects
}

func (b *Bucket) destinationNeeds() (onBucket, onObjects []string) {
	onObjects = []string{"s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"}
	if b.cfg.client.OwnerControl {
		onObjects = append(onObjects, "s3:PutObjectAcl")
	}
	if b.cfg.destination.overwrite == OverwriteIfDifferent {
		onBucket, onObjects = append(onBucket, "s3:ListBucket"), append(onObjects, "s3:GetObject")
	}
	if b.cfg.destination.lock {
		onObjects = append(onObjects, "s3:PutObjectRetention", "s3:PutObjectLegalHold")
	}
	return onBucket, onObjects
}

func (b *Bucket) storeNeeds() (onBucket, onObjects []string) {
	onBucket = []string{"s3:ListBucket", "s3:ListBucketMultipartUploads"}
	onObjects = []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
	if b.cfg.client.OwnerControl {
		onObjects = append(onObjects, "s3:PutObjectAcl")
	}
	if b.cfg.store.lockMode != "" {
		onObjects = append(onObjects, "s3:PutObjectRetention", "s3:GetObjectRetention", "s3:DeleteObjectVersion")
	}
	if _, cold := retrievals[b.cfg.store.storageClass]; cold || b.cfg.archive.action == archiveRestore {
		onObjects = append(onObjects, "s3:RestoreObject")
	}
	return onBucket, onObjects
}

// keyActions are those on KMS keys. A multipart upload reads its own parts.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func keyActions(role Role) []string {
	if role == RoleSource {
		return []string{"kms:Decrypt"}
	}
	return []string{"kms:Decrypt", "kms:GenerateDataKey"}
}

// partitions are the first words of the names of resources, by how the names
// of regions begin.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var partitions = []struct{ regions, partition string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"eusc-", "aws-eusc"},
	{"us-isob-", "aws-iso-b"},
	{"us-isof-", "aws-iso-f"},
	{"us-iso-", "aws-iso"},
	{"eu-isoe-", "aws-iso-e"},
}

func partitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.regions) {
			return p.partition
		}
	}
	return "aws"
}

// bucketARN names the bucket, or the access point, in a policy.
func (b *Bucket) bucketARN() string {
	switch {
	case isARN(b.location.bucket):
		return b.location.bucket
	case b.cfg.client.Endpoint != "":
		return "arn:aws:s3:::" + b.location.bucket
	}
	return "arn:" + partitionOf(b.cfg.client.Region) + ":s3:::" + b.location.bucket
}

// keyARN names what is below the bucket in a policy.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-access-points.html
func (b *Bucket) keyARN(key string) string {
	between := "/"
	if isARN(b.location.bucket) {
		between = "/object/"
	}
	return b.bucketARN() + between + literalInPolicy.Replace(key)
}

// objectsARN names the objects below the prefix in a policy.
func (b *Bucket) objectsARN() string { return b.keyARN(b.key("")) + "*" }

// objectARNs names what a role works on: a source and a destination also on
// an object whose key is the prefix itself.
func (b *Bucket) objectARNs(role Role) []string {
	if role == RoleStore || b.location.prefix == "" {
		return []string{b.objectsARN()}
	}
	return []string{b.keyARN(b.location.prefix), b.objectsARN()}
}

// literalInPolicy writes the characters that mean something in the name of a
// resource.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
var literalInPolicy = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// isBucketAction tells the actions that are allowed on a bucket, not on its
// objects.
func isBucketAction(action string) bool {
	return strings.HasPrefix(action, "s3:ListBucket") || strings.HasPrefix(action, "s3:GetBucket") || action == "s3:CreateBucket"
}
