package bucket

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// folders is where keys are known to begin anew: what a listing with a
// delimiter tells of places that were not listed yet. Unlike at a guess, there
// are keys behind such a place. How folders are named says nothing of how much
// is in them: that is learnt from those that were listed.
type folders struct {
	prefix string            // of all keys
	known  []string          // beginnings of keys, in order
	asked  map[string]string // folder whose folders were asked for, and up to where; "" is to the end
	pages  float64           // that were listed where folders are known
	passed float64           // folders in these pages
	tried  int               // questions so far, and how many had no folder as an answer
	vain   int
}

const (
	// scoutEvery is how many pages of keys are listed for each question, which
	// bounds what the questions cost.
	scoutEvery = 16
	// crowd is which part of a page its keys must share a folder with, for that
	// folder's siblings to be worth a question: of smaller ones a whole page of
	// names does not reach far.
	crowd = 4
	// halfLife is after how many pages what was seen before counts half.
	halfLife = 64
)

// between gives the known places after one key and before another; "" is no
// bound.
func (f *folders) between(after, until string) []string {
	from, found := slices.BinarySearch(f.known, after)
	if found {
		from++
	}
	to := len(f.known)
	if until != "" {
		to, _ = slices.BinarySearch(f.known, until)
	}
	return f.known[from:max(from, to)]
}

// has tells whether a place is known.
func (f *folders) has(place string) bool {
	_, found := slices.BinarySearch(f.known, place)
	return found
}

// each is how many pages a folder has on average; known is false until one
// was passed.
func (f *folders) each() (pages float64, known bool) {
	if f.passed == 0 {
		return 0, false
	}
	return f.pages / f.passed, true
}

// allow tells whether there may be keys right after a guess, ahead of a place
// that is listed: where the folders after that place are known, only in the
// folder that it is in.
func (f *folders) allow(at, guess, until string) bool {
	next := until
	if ahead := f.between(at, until); len(ahead) > 0 {
		next = ahead[0]
	}
	if !f.has(next) {
		return guess > at
	}
	level := 0
	for i := 0; i < min(len(at), len(next)) && at[i] == next[i]; i++ {
		if at[i] == '/' {
			level = i + 1
		}
	}
	name, _, inside := strings.Cut(at[level:], "/")
	return guess > at && guess < next && (!inside || strings.HasPrefix(guess[level:], name+"/"))
}

// pass learns from a page: some part of a full one, with keys after one and up
// to another. It tells how many folders began there.
func (f *folders) pass(after, last string, part float64) int {
	began := len(f.between(after, last))
	if f.has(after) {
		began++
	}
	if len(f.known) == 0 || last > f.known[len(f.known)-1] {
		return began // who knows what else did
	}
	f.pages += part
	f.passed += float64(began)
	if f.pages > halfLife {
		f.pages, f.passed = f.pages/2, f.passed/2
	}
	return began
}

// ask names the folder to ask about next, for a place that is listed: the
// nearest whose folders after that place, and before until, are not known.
// Some keys around the place tell which folders are large enough.
func (f *folders) ask(at, until string, around []string) (folder string, ok bool) {
	if f.vain >= 3 && 2*f.vain > f.tried || !strings.HasPrefix(at, f.prefix) {
		return "", false
	}
	for end := strings.LastIndexByte(at, '/'); end >= len(f.prefix); end = strings.LastIndexByte(at[:end], '/') {
		child := at[:end+1]
		parent := f.prefix
		if i := strings.LastIndexByte(at[:end], '/'); i >= len(f.prefix) {
			parent = at[:i+1]
		}
		if until != "" && strings.HasPrefix(until, child) {
			return "", false // nothing after this folder is wanted, nor after those it is in
		}
		if upTo, asked := f.asked[parent]; asked && (upTo == "" || upTo > at) {
			continue
		}
		if crowded(around, len(parent)) {
			return parent, true
		}
	}
	return "", false
}

// crowded tells whether keys share few enough folders below a parent.
func crowded(keys []string, parent int) bool {
	different, last := 0, ""
	for _, key := range keys {
		if len(key) < parent {
			continue
		}
		name, _, _ := strings.Cut(key[parent:], "/")
		if name != last || different == 0 {
			different++
			last = name
		}
	}
	return different <= max(1, len(keys)/crowd)
}

// asking notes a question that has no answer yet: it is not asked twice.
func (f *folders) asking(folder string) {
	if f.asked == nil {
		f.asked = map[string]string{}
	}
	f.asked[folder] = ""
	f.tried++
}

// tell takes the answer to a question: names in order, and whether there are
// more of them.
func (f *folders) tell(folder string, names []string, more bool) {
	if len(names) == 0 {
		f.vain++
		return
	}
	if more {
		f.asked[folder] = names[len(names)-1]
	}
	f.known = append(f.known, names...)
	slices.Sort(f.known)
	f.known = slices.Compact(f.known)
}

// forget drops what is of no use once everything up to a key is delivered.
func (f *folders) forget(upTo string) {
	f.known = slices.Clone(f.between(upTo, ""))
	for folder := range f.asked {
		if folder < upTo && !strings.HasPrefix(upTo, folder) {
			delete(f.asked, folder)
		}
	}
}

// subfolders asks for a page of the folders in a folder, whose names begin
// after a key.
func (c *Client) subfolders(ctx context.Context, folder, after string, most int) (names []string, more bool, err error) {
	in := &s3.ListObjectsV2Input{
		Bucket:       &c.name,
		Delimiter:    aws.String("/"),
		EncodingType: c.Quirks().listEncoding(),
		MaxKeys:      aws.Int32(int32(most)),
		StartAfter:   &after,
	}
	if folder != "" {
		in.Prefix = &folder
	}
	var page *s3.ListObjectsV2Output
	err = c.call(ctx, "list", folder, func(ctx context.Context, opts ...func(*s3.Options)) (err error) {
		page, err = c.listObjects(ctx, in, opts...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	decode := c.decoder(page)
	for _, common := range page.CommonPrefixes {
		name := aws.ToString(common.Prefix)
		if name, err = decode(name); err != nil {
			return nil, false, err
		}
		// The folder that the key is in may be named as well.
		if name > after && strings.HasPrefix(name, folder) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, aws.ToBool(page.IsTruncated) && len(names) > 0, nil
}
