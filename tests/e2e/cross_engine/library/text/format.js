return { quoted: (value) => `<${value}>` };
