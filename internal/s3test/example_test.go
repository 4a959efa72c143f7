package s3test_test

import (
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func Example() {
	srv := s3test.New()
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	bucket := srv.CreateBucket("photos")
	bucket.Put("summer/beach.jpg", []byte("sand and sea"), s3test.Properties{})
	bucket.SetPublic(true) // so that this example need not sign its requests

	// The first answer is a refusal, the second one breaks off after four bytes.
	srv.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.Status(503, "SlowDown", "Retry-After: 1")})
	srv.Faults().Add(s3test.Fault{Op: "GetObject", Key: "summer/*", Nth: 2, Action: s3test.CutAfter(4)})
	srv.Faults().Add(s3test.Fault{Op: "GetObject", Key: "winter/*", Action: s3test.Reset()})

	for range 3 {
		response, err := http.Get(srv.URL() + "/photos/summer/beach.jpg")
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			fmt.Printf("%q, %v\n", body, err)
		} else {
			fmt.Println(response.Status, "- retry after", response.Header.Get("Retry-After"))
		}
	}
	fmt.Println(srv.Count("GetObject"), "requests")
	fmt.Println("did not happen:", srv.Faults().Unfired())
	// Output:
	// 503 Service Unavailable - retry after 1
	// "sand", unexpected EOF
	// "sand and sea", <nil>
	// 3 requests
	// did not happen: [GetObject /winter/* (injected 0 times)]
}
