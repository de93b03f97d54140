"""The model as other programs load it. [plain]"""
