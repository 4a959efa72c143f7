package s3kloset

import "strings"

// awsHost is what the name of an S3 host of AWS says.
type awsHost struct {
	region    string // "" for the global host
	dualstack bool
	fips      bool
	bucket    string // of the virtual-host form, else ""
}

// awsPartitions are the domains of AWS, and how the names of the regions of
// each begin. All other regions are in the first one.
var awsPartitions = []struct{ domain, regions string }{
	{"amazonaws.com", ""},
	{"amazonaws.com.cn", "cn-"},
	{"amazonaws.eu", "eusc-"},
	{"c2s.ic.gov", "us-iso-"},
	{"sc2s.sgov.gov", "us-isob-"},
	{"cloud.adc-e.uk", "eu-isoe-"},
	{"csp.hci.ic.gov", "us-isof-"},
}

func awsDomain(region string) string {
	for _, p := range awsPartitions[1:] {
		if strings.HasPrefix(region, p.regions) {
			return p.domain
		}
	}
	return awsPartitions[0].domain
}

// parseAWSHost reads the name, in lower case, of an S3 host of AWS:
//
//	[BUCKET.]s3.amazonaws.com                      global
//	[BUCKET.]s3.REGION.DOMAIN                      regional
//	[BUCKET.]s3.dualstack.REGION.DOMAIN            dual stack
//	[BUCKET.]s3-fips[.dualstack].REGION.DOMAIN     FIPS
//	[BUCKET.]s3-REGION.DOMAIN                      legacy
//	[BUCKET.]s3-external-1.amazonaws.com           legacy, us-east-1
//	[BUCKET.]s3express-ZONE.REGION.DOMAIN          directory buckets
//
// It is not an S3 host of AWS when found is false: other machines under
// these domains, a MinIO on an EC2 instance say, are endpoints like any other.
// The error is about hosts of S3 that do not serve objects of plain buckets.
func parseAWSHost(host string) (h awsHost, found bool, err error) {
	labels, domain := cutAWSDomain(host)
	if last := len(labels) - 1; last >= 0 && isRegion(labels[last]) {
		h.region, labels = labels[last], labels[:last]
	}
	if last := len(labels) - 1; last >= 0 && labels[last] == "dualstack" {
		h.dualstack, labels = true, labels[:last]
	}
	if len(labels) == 0 {
		return awsHost{}, false, nil
	}
	service := labels[len(labels)-1]
	if !h.readService(service) {
		if strings.HasPrefix(service, "s3-") || strings.HasPrefix(service, "s3express-") {
			return awsHost{}, false, refuse("not an AWS host for the objects of a bucket", host)
		}
		return awsHost{}, false, nil
	}
	h.bucket = strings.Join(labels[:len(labels)-1], ".")
	if h.region == "" && (h.dualstack || h.fips || domain != awsDomain("")) {
		return awsHost{}, false, refuse("this AWS host needs a region", host)
	}
	if awsDomain(h.region) != domain {
		return awsHost{}, false, refuse("this region is not in this AWS domain", host)
	}
	return h, true, nil
}

// readService takes from the label before the region what it says. The
// legacy names hold the region themselves.
func (h *awsHost) readService(label string) (ok bool) {
	if zone, express := strings.CutPrefix(label, "s3express-"); express {
		return h.region != "" && strings.Contains(zone, "-az")
	}
	label, ok = strings.CutPrefix(label, "s3")
	label, h.fips = strings.CutPrefix(label, "-fips")
	region, legacy := strings.CutPrefix(label, "-")
	switch {
	case !ok:
		return false
	case label == "":
		return true
	case legacy && h.region == "" && region == "external-1":
		h.region = "us-east-1"
		return true
	case legacy && h.region == "" && isRegion(region):
		h.region = region
		return true
	}
	return false
}

func (h awsHost) String() string {
	name := "s3"
	if h.fips {
		name += "-fips"
	}
	if h.bucket != "" {
		name = h.bucket + "." + name
	}
	if h.dualstack {
		name += ".dualstack"
	}
	if h.region != "" {
		name += "." + h.region
	}
	return name + "." + awsDomain(h.region)
}

// vpcRegion is the region of the host of a VPC endpoint for S3,
// NAME.s3.REGION.vpce.DOMAIN, and "" for any other host. Such a host is
// an endpoint of its own, which still has to be signed for its region.
func vpcRegion(host string) string {
	labels, domain := cutAWSDomain(host)
	n := len(labels)
	if n >= 4 && labels[n-1] == "vpce" && isRegion(labels[n-2]) && labels[n-3] == "s3" && awsDomain(labels[n-2]) == domain {
		return labels[n-2]
	}
	return ""
}

// cutAWSDomain returns the labels before the domain, none if host is not a
// name in a domain of AWS.
func cutAWSDomain(host string) (labels []string, domain string) {
	for _, p := range awsPartitions {
		if name, ok := strings.CutSuffix(host, "."+p.domain); ok {
			return strings.Split(name, "."), p.domain
		}
	}
	return nil, ""
}

// isRegion tells whether label looks like the name of a region: an area of 2
// to 4 letters, words, and a number, joined by hyphens. New regions must not
// need a new version; the hosts s3-website-REGION must not pass.
func isRegion(label string) bool {
	words := strings.Split(label, "-")
	last := len(words) - 1
	if last < 2 || len(words[0]) < 2 || len(words[0]) > 4 {
		return false
	}
	for _, word := range words[:last] {
		if word == "" || !consistsOf(word, "abcdefghijklmnopqrstuvwxyz") {
			return false
		}
	}
	return words[last] != "" && consistsOf(words[last], "0123456789")
}
