"""Source tables -> checked histories, and the split of their subjects. [spark]"""
