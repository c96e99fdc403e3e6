#!/system/bin/sh
echo "hello from @NAME@"
