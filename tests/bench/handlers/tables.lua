-- Holds 60,000 tables when the request comes, and looks some up.
local all = {}
for i = 1, 60000 do
    all[i] = { id = i, square = i * i, name = "entry" .. i }
end
local line = io.read("l")
local sum = 0
for word in line:gmatch("%d+") do
    local entry = all[tonumber(word) + 1]
    sum = sum + entry.square + #entry.name
end
io.write(sum, "\n")
io.flush()
