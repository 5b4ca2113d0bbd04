return { quoted = function(value) return "<" .. value .. ">" end }
