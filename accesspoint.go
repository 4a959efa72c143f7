package s3kloset

import "strings"

// accessPoint is what an ARN says of one, which stands where a bucket does:
//
//	arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME
//
// The alias of an access point, NAME-...-s3alias, is a bucket like any other
// and needs nothing of this.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
type accessPoint struct {
	region, account, name string
}

// isARN tells an ARN, or what comes before the first slash of it, from a bucket
// and from a host with a port.
func isARN(text string) bool { return strings.HasPrefix(text, "arn:") && strings.Count(text, ":") > 1 }

// parseAccessPoint refuses all ARNs but those of access points to the bucket of
// one region.
func parseAccessPoint(arn string) (accessPoint, error) {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 {
		return accessPoint{}, refuse("malformed ARN", arn)
	}
	partition, service, region, account, resource := fields[1], fields[2], fields[3], fields[4], fields[5]
	kind, name, _ := strings.Cut(resource, "/")
	switch {
	case service == "s3-outposts":
		return accessPoint{}, refuse("S3 on Outposts is not supported", arn)
	case service == "s3-object-lambda":
		return accessPoint{}, refuse("an Object Lambda access point does not give objects as they are; name the one behind it", arn)
	case service == "s3" && kind != "accesspoint" && region == "" && account == "":
		return accessPoint{}, refuse("a bucket goes by its name here, s3://NAME, not by its ARN", arn)
	case service != "s3" || kind != "accesspoint":
		return accessPoint{}, refuse("not the ARN of an access point", arn)
	case region == "":
		return accessPoint{}, refuse("multi-region access points are not supported; name the access point or the bucket of one region", arn)
	case !isRegion(region) || partitionOf(region) != partition:
		return accessPoint{}, refuse("the region of the ARN is not in its partition", arn)
	case len(account) != 12 || !consistsOf(account, "0123456789"):
		return accessPoint{}, refuse("the account of the ARN does not have 12 digits", arn)
	case len(name) < 3 || len(name) > 50 || !consistsOf(name, "abcdefghijklmnopqrstuvwxyz0123456789-") || strings.Trim(name, "-") != name:
		return accessPoint{}, refuse("an access point has a name of 3 to 50 lower-case letters, digits and hyphens", arn)
	}
	return accessPoint{region: region, account: account, name: name}, nil
}

// atAccessPoint takes the region from the ARN. The endpoint is that of AWS, or
// one inside of a VPC.
func (l *location) atAccessPoint() error {
	point, err := parseAccessPoint(l.bucket)
	switch {
	case err != nil:
		return err
	case l.endpoint != "" && l.region == "":
		return refuse("access points are at AWS only", l.endpoint)
	case l.region != "" && l.region != point.region:
		return refuse("the access point is in another region than the host", point.region)
	}
	l.region = point.region
	return nil
}

// validateAccessPoint checks what has no meaning for an access point.
func (c *config) validateAccessPoint() error {
	if !isARN(c.client.Name) {
		return nil
	}
	point, err := parseAccessPoint(c.client.Name)
	switch {
	case err != nil:
		return err
	case c.client.Region != point.region:
		return invalid("region", "the access point is in %s", point.region)
	case c.client.Accelerate:
		return invalid("accelerate", "access points have no transfer acceleration")
	case c.destination.createBucket:
		return invalid("create_bucket", "an access point cannot be made this way")
	}
	return nil
}
