package s3kloset

import "maps"

// Prices are what a service bills for reading a bucket. The zero value is a
// service that bills nothing.
type Prices struct {
	Currency string `json:"currency,omitempty"`
	// Origin says where the prices were read, for which region, and when.
	Origin string `json:"origin,omitempty"`
	// List is the price of 1,000 LIST requests.
	List float64 `json:"list_per_1000"`
	// Classes are the prices by storage class; those of STANDARD are taken
	// for a class that is not among them.
	Classes map[string]ClassPrices `json:"classes,omitempty"`
	// Transfer is the price of a GiB that leaves the service.
	Transfer float64 `json:"transfer_per_gib"`
}

// ClassPrices are the prices of one storage class.
type ClassPrices struct {
	// Get is the price of 1,000 requests for an object: its bytes, its
	// headers, or its tags.
	Get float64 `json:"get_per_1000"`
	// Retrieve is the price of a GiB that is read.
	Retrieve float64 `json:"retrieve_per_gib"`
	// Thaw are the prices of making an archived object readable, by tier.
	Thaw map[ArchiveTier]ThawPrices `json:"thaw,omitempty"`
}

// ThawPrices are the prices of making archived objects readable.
type ThawPrices struct {
	Request  float64 `json:"request_per_1000"`
	Retrieve float64 `json:"retrieve_per_gib"`
}

// AWSPrices are the public prices of AWS for us-east-1 as of October 2025,
// without free tiers and discounts for large amounts, and for bytes that go to
// the internet. A backup from the same region pays no transfer: set Transfer
// to 0. Other regions differ by up to some ten percent.
//
// https://aws.amazon.com/s3/pricing/
func AWSPrices() Prices {
	p := awsPrices
	p.Classes = maps.Clone(p.Classes)
	return p
}

var awsPrices = Prices{
	Currency: "USD",
	Origin:   "aws.amazon.com/s3/pricing, us-east-1, October 2025",
	List:     0.005,
	Transfer: 0.09,
	Classes: map[string]ClassPrices{
		"STANDARD":            {Get: 0.0004},
		"REDUCED_REDUNDANCY":  {Get: 0.0004},
		"INTELLIGENT_TIERING": {Get: 0.0004},
		"STANDARD_IA":         {Get: 0.001, Retrieve: 0.01},
		"ONEZONE_IA":          {Get: 0.001, Retrieve: 0.01},
		"GLACIER_IR":          {Get: 0.01, Retrieve: 0.03},
		"GLACIER": {Get: 0.0004, Thaw: map[ArchiveTier]ThawPrices{
			TierExpedited: {Request: 10, Retrieve: 0.03},
			TierStandard:  {Request: 0.05, Retrieve: 0.01},
			TierBulk:      {},
		}},
		"DEEP_ARCHIVE": {Get: 0.0004, Thaw: map[ArchiveTier]ThawPrices{
			TierStandard: {Request: 0.10, Retrieve: 0.02},
			TierBulk:     {Request: 0.025, Retrieve: 0.0025},
		}},
	},
}

// of are the prices of a class.
func (p Prices) of(class string) ClassPrices {
	if prices, ok := p.Classes[class]; ok {
		return prices
	}
	return p.Classes["STANDARD"]
}
