-- Writes the state of one lane, unless somebody else owns the lane by now.
-- KEYS: 1 epoch, 2 progress, 3.. values
-- ARGV: 1 our epoch, 2 time to live in seconds, 3 progress, 4.. values in the order of their keys
-- Reply: 1 written; 0 fenced, a later epoch exists; -1 no epoch or an earlier one, Redis has lost data
local epoch = redis.call('GET', KEYS[1])
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then
  return -1
end
if tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
for index = 3, #KEYS do
  redis.call('SET', KEYS[index], ARGV[index + 1], 'EX', ARGV[2])
end
redis.call('SET', KEYS[2], ARGV[3])
return 1
