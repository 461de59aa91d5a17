package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// variable is one field of the Config under its variable's name.
type variable struct {
	name  string
	field reflect.Value
}

// eachVariable visits the fields of a struct (given by pointer) that are read from variables, in order, as the env
// library finds them: by the tags env and envPrefix.
func eachVariable(of any, visit func(variable)) {
	walk(reflect.ValueOf(of).Elem(), "", visit)
	if c, ok := of.(*Config); ok {
		for _, o := range c.Others {
			walk(reflect.ValueOf(o).Elem(), o.Row.Variable(""), visit)
		}
	}
}

func walk(v reflect.Value, prefix string, visit func(variable)) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		if name := f.Tag.Get("env"); name != "" {
			visit(variable{prefix + name, field})
		} else if field.Kind() == reflect.Struct {
			walk(field, prefix+f.Tag.Get("envPrefix"), visit)
		}
	}
}

// text writes a field as its variable takes it, secrets masked.
func (v variable) text() string {
	switch x := v.field.Interface().(type) {
	case time.Duration:
		if x == 0 && v.name == "THINKDEEP_EXPERT_TIMEOUT_SECS" {
			return "" // 0 means unset there, and is not accepted
		}
		return seconds(x)
	case []string:
		return strings.Join(x, ",")
	case *bool:
		if x == nil {
			return ""
		}
		return strconv.FormatBool(*x)
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case Secret:
		if v.name == "DATABASE_URL" {
			return maskDSN(x.Reveal())
		}
		return x.String()
	default:
		if strings.HasSuffix(v.name, "_API_URL") {
			return maskAddress(v.field.String())
		}
		return maskURL(v.field.String())
	}
}
