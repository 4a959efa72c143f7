package conformance

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// fakeTarget is a server that answers each request with what the handler says.
func fakeTarget(t *testing.T, handler http.HandlerFunc) Target {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return Target{
		Server: MinIO, Endpoint: server.URL, Region: "us-east-1",
		AccessKey: "access", SecretKey: "secret", Client: server.Client(),
	}
}

// bucketThen creates the row's bucket and leaves the rest to the handler.
func bucketThen(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && !strings.Contains(strings.Trim(r.URL.Path, "/"), "/") && r.URL.RawQuery == "" {
			return
		}
		handler(w, r)
	}
}

func TestTableIsWellFormed(t *testing.T) {
	var names []string
	for _, row := range table() {
		topic, behaviour, ok := strings.Cut(row.name, "/")
		if !ok || topic == "" || behaviour == "" {
			t.Errorf("row %q is not named TOPIC/BEHAVIOUR", row.name)
		}
		if slices.Contains(names, row.name) {
			t.Errorf("row %q is there twice", row.name)
		}
		names = append(names, row.name)
		if len(row.steps) == 0 {
			t.Errorf("row %q asks for nothing", row.name)
		}
		for _, s := range row.steps {
			for server, d := range s.deviations {
				if !slices.Contains([]Server{MinIO, Versity, MiniS3}, server) {
					t.Errorf("row %q excuses %q, which is ours or unknown", row.name, server)
				}
				if d.why == "" {
					t.Errorf("row %q excuses %s without a reason", row.name, server)
				}
			}
		}
	}
}

// TestEveryRowDemands runs the table against a server that says yes to everything: a row
// that believes it demands nothing.
func TestEveryRowDemands(t *testing.T) {
	target := fakeTarget(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	target.Server = S3Test
	for _, row := range table() {
		if err := row.run(t.Context(), target, "bucket"); !errors.Is(err, errUnlike) {
			t.Errorf("row %q: %v", row.name, err)
		}
	}
}

func TestExcuses(t *testing.T) {
	r := row("some/row", plain, get("k").gives(refused(404, "NoSuchKey")).
		but(MinIO, "it has a mind of its own", status(418)))
	for name, test := range map[string]struct {
		server Server
		answer http.HandlerFunc
		want   error
	}{
		"as S3":                   {S3Test, errorAnswer(404, "NoSuchKey"), nil},
		"as S3, other code":       {S3Test, errorAnswer(404, "NoSuchBucket"), errUnlike},
		"as S3, other status":     {S3Test, errorAnswer(403, "NoSuchKey"), errUnlike},
		"not excused":             {Versity, errorAnswer(418, "Teapot"), errUnlike},
		"excused":                 {MinIO, errorAnswer(418, "Teapot"), nil},
		"excused, but as S3":      {MinIO, errorAnswer(404, "NoSuchKey"), errNeedless},
		"excused, third opinion":  {MinIO, errorAnswer(500, "InternalError"), errUnlike},
		"excused, no XML as body": {S3Test, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, errUnlike},
	} {
		t.Run(name, func(t *testing.T) {
			target := fakeTarget(t, bucketThen(test.answer))
			target.Server = test.server
			if err := r.run(t.Context(), target, "bucket"); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func errorAnswer(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, "<Error><Code>"+code+"</Code></Error>")
	}
}

func TestVariablesTravel(t *testing.T) {
	target := fakeTarget(t, bucketThen(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Id", "a b+c")
		io.WriteString(w, "<R><Id>"+r.URL.Query().Get("id")+"</Id><Body>"+string(body)+"</Body></R>")
	}))
	r := row("some/row", plain,
		get("k").gives(ok()).keepHeader("id", "X-Id"),
		post("k", "", "{id} {other}").ask("id", "{id}").gives(ok().text("Id", "a b+c").text("Body", "a b+c {other}")).
			keepText("again", "Id"),
		get("k").ask("id", "{again}").gives(ok().text("Id", "{id}")),
	)
	if err := r.run(t.Context(), target, "bucket"); err != nil {
		t.Error(err)
	}
}

func TestRace(t *testing.T) {
	for winners, want := range []error{errUnlike, nil, errUnlike} {
		places := make(chan bool, 4)
		for i := range cap(places) {
			places <- i < winners
		}
		target := fakeTarget(t, bucketThen(func(w http.ResponseWriter, _ *http.Request) {
			if won := <-places; !won {
				w.WriteHeader(412)
			}
		}))
		err := row("some/race", plain, put("k", "x").races(cap(places), ok(), 412)).run(t.Context(), target, "bucket")
		if !errors.Is(err, want) {
			t.Errorf("with %d winners: got %v, want %v", winners, err, want)
		}
	}
}

// TestKeysGoAsTheyAre shows that nothing on the way to the server cleans a key.
func TestKeysGoAsTheyAre(t *testing.T) {
	var uris []string
	target := fakeTarget(t, func(w http.ResponseWriter, r *http.Request) { uris = append(uris, r.RequestURI) })
	for _, key := range []string{"/a//b/../c/.", "é %2F?#", "\x01\xff"} {
		if err := row("some/key", plain, get(key).gives(ok())).run(t.Context(), target, "b"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"/b", "/b//a//b/../c/.", "/b", "/b/%C3%A9%20%252F%3F%23", "/b", "/b/%01%FF"}
	if !slices.Equal(uris, want) {
		t.Errorf("sent %q, want %q", uris, want)
	}
}

func TestDeviation(t *testing.T) {
	if why, excused := Deviation(MinIO, "class/GLACIER_IR"); !excused || why == "" {
		t.Errorf("MinIO has no GLACIER_IR: %q, %v", why, excused)
	}
	if why, excused := Deviation(S3Test, "class/GLACIER_IR"); excused {
		t.Errorf("s3test is excused: %s", why)
	}
	for _, h := range Hostile() {
		_, excused := Deviation(Versity, "key/"+h.Name)
		if h.KeptBy(Versity) == excused {
			t.Errorf("keys %q: kept and excused at once", h.Keys)
		}
	}
}
