package schema

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
)

// setting is a key of the table of settings in the root package.
type setting struct {
	key    string
	secret bool
	kind   string   // the parser of its values: text, boolean, number, …
	values []string // of a oneOf
	help   string
}

// readTable finds the table in the source of the root package. It is read and
// not linked, since it is nothing that programs need at run time.
func readTable(file string) ([]setting, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	var table []setting
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || spec.Names[0].Name != "settings" {
			return true
		}
		rows, ok := spec.Values[0].(*ast.CompositeLit)
		if !ok {
			err = errors.New("the table of settings is no literal")
			return false
		}
		for i, row := range rows.Elts {
			s, rowErr := readRow(row)
			if rowErr != nil {
				err = errors.Join(err, fmt.Errorf("row %d of the table of settings: %w", i, rowErr))
			}
			table = append(table, s)
		}
		return false
	})
	if err == nil && len(table) == 0 {
		err = errors.New("there is no table of settings")
	}
	return table, err
}

// readRow reads {key, option, secret, parser, help}.
func readRow(row ast.Expr) (setting, error) {
	literal, ok := row.(*ast.CompositeLit)
	if !ok || len(literal.Elts) != 5 {
		return setting{}, errors.New("it has not five columns")
	}
	key, keyErr := text(literal.Elts[0])
	help, helpErr := text(literal.Elts[4])
	secret, ok := literal.Elts[2].(*ast.Ident)
	if !ok {
		return setting{}, errors.New("secret is neither true nor false")
	}
	s := setting{key: key, secret: secret.Name == "true", help: help}
	switch parse := literal.Elts[3].(type) {
	case *ast.Ident:
		s.kind = parse.Name
	case *ast.CallExpr:
		name, ok := parse.Fun.(*ast.Ident)
		if !ok {
			return s, errors.New("its parser has no name")
		}
		s.kind = name.Name
		if err := s.readValues(parse.Args); err != nil {
			return s, err
		}
	default:
		return s, errors.New("its parser has no name")
	}
	return s, errors.Join(keyErr, helpErr)
}

// readValues finds the names that a oneOf takes, the keys of its map.
func (s *setting) readValues(args []ast.Expr) error {
	for _, arg := range args {
		values, ok := arg.(*ast.CompositeLit)
		if !ok {
			continue
		}
		for _, value := range values.Elts {
			pair, ok := value.(*ast.KeyValueExpr)
			if !ok {
				return errors.New("its values have no names")
			}
			name, err := text(pair.Key)
			if err != nil {
				return err
			}
			s.values = append(s.values, name)
		}
	}
	slices.Sort(s.values)
	return nil
}

func text(e ast.Expr) (string, error) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", errors.New("a column is no text")
	}
	return strconv.Unquote(literal.Value)
}
